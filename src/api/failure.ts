import { AppError, ERROR_CODES, type ErrorCode, type ErrorKind } from '../base/errors.ts';

/** The body of every answer that is not a success. */
export interface Failure {
  readonly code: string;
  readonly message: string;
}

const STATUS: Readonly<Record<ErrorKind, number>> = {
  usage: 400,
  missing: 404,
  conflict: 409,
  system: 500,
  remote: 502,
};

/** HTTP status of an error. */
export function statusOf(error: AppError): number {
  return STATUS[error.kind];
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERROR_CODES, code);

/** The error that a failure's body stands for; `undefined` if `body` is no failure. */
export function toError(body: unknown): AppError | undefined {
  if (typeof body !== 'object' || body === null || !('code' in body) || !('message' in body)) {
    return undefined;
  }
  const { code, message } = body;
  if (typeof code !== 'string' || typeof message !== 'string') return undefined;
  return isErrorCode(code)
    ? new AppError(code, message)
    : new AppError(
        'E_INTERNAL',
        `${message.replace(/\.$/, '')} (${code}, a code of a newer daemon).`,
      );
}

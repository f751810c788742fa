/**
 * Another form of the daemon's interface on the same socket, spoken by a program that is not ours to
 * shape: one path to which it posts JSON. Errors are its own too, so nothing is thrown.
 */
export interface Face {
  readonly path: string;
  readonly bodyLimitBytes: number;
  answer(body: unknown): Promise<FaceAnswer>;
}

export interface FaceAnswer {
  /** Of HTTP. */
  readonly status: number;
  /** Sent as JSON; absent: status 204 and no body. */
  readonly body?: object;
}

/**
 * Errors that a caller or operator can act on. Broken bytes from the network are never errors (they
 * are drop counters), impossible states are assertions.
 *
 * `kind` says who must act, and decides the HTTP status and the exit status:
 *   usage    the request itself is wrong; nothing was tried             400, exit 2 from flags, else 1
 *   missing  the thing named does not exist                             404
 *   conflict it collides with something that exists; both are named     409
 *   system   the kernel or a program refused; everything was undone     500
 *   remote   another host refused or can't be reached; nothing changed  502
 */
export type ErrorKind = 'usage' | 'missing' | 'conflict' | 'system' | 'remote';

/** Every stable code. `docs/errors.md` lists the same codes, and a test compares the two. */
export const ERROR_CODES = {
  E_USAGE: 'usage',
  E_CONFIG: 'usage',
  E_NAME_INVALID: 'usage',
  E_VNI_RANGE: 'usage',
  E_MTU_RANGE: 'usage',
  E_MAC_INVALID: 'usage',
  E_ADDRESS_INVALID: 'usage',
  E_ADDRESS_OUTSIDE: 'usage',
  E_ADDRESS_RESERVED: 'usage',
  E_SUBNET_INVALID: 'usage',
  E_PORT_INVALID: 'usage',
  E_ROUTE_INVALID: 'usage',
  E_BANDWIDTH_INVALID: 'usage',
  E_ENCAP_UNKNOWN: 'usage',
  E_ENGINE_OPTION: 'usage',
  E_DATA_PLANE_UNAVAILABLE: 'usage',
  E_IFNAME_INVALID: 'usage',
  E_TOKEN_INVALID: 'usage',

  E_NETWORK_MISSING: 'missing',
  E_ENDPOINT_MISSING: 'missing',
  E_HOST_MISSING: 'missing',
  E_VTEP_MISSING: 'missing',
  E_NAME_MISSING: 'missing',
  E_SANDBOX_MISSING: 'missing',
  E_DEVICE_MISSING: 'missing',
  E_ROUTE_MISSING: 'missing',
  E_TOKEN_MISSING: 'missing',

  E_NETWORK_EXISTS: 'conflict',
  E_NETWORK_IN_USE: 'conflict',
  E_NETWORK_DISPUTED: 'conflict',
  E_NETWORK_ISOLATED: 'conflict',
  E_PLAN_CHANGED: 'conflict',
  E_VNI_TAKEN: 'conflict',
  E_SUBNET_ROUTED: 'conflict',
  E_GATEWAY_MISSING: 'conflict',
  E_PORT_TAKEN: 'conflict',
  E_ADDRESS_TAKEN: 'conflict',
  E_ADDRESS_EXHAUSTED: 'conflict',
  E_MAC_TAKEN: 'conflict',
  E_IFNAME_TAKEN: 'conflict',
  E_VTEP_EXISTS: 'conflict',
  E_HOST_NAME_TAKEN: 'conflict',
  E_HOST_ALIVE: 'conflict',
  E_ENDPOINT_EXISTS: 'conflict',
  E_ENDPOINT_REMOTE: 'conflict',
  E_ALREADY_RUNNING: 'conflict',
  E_MESH_SHARED: 'conflict',
  E_DEVICE_BUSY: 'conflict',

  E_PERMISSION: 'system',
  E_PLATFORM: 'system',
  E_BIND: 'system',
  E_COMMAND_FAILED: 'system',
  E_DEVICE: 'system',
  E_STATE: 'system',
  E_INTERNAL: 'system',

  E_JOIN_SELF: 'remote',
  E_JOIN_UNREACHABLE: 'remote',
  E_JOIN_UNRESOLVED: 'remote',
  E_MESH_VERSION: 'remote',
  E_MESH_LABEL: 'remote',
  E_MESH_KEYS: 'remote',
  E_KEY_MISSING: 'missing',
  E_KEY_IN_USE: 'conflict',
  E_TOKEN_REFUSED: 'remote',
  E_ADDRESS_NO_MAJORITY: 'remote',
  E_ADDRESS_AWAY: 'remote',
  E_ADDRESS_BUSY: 'remote',
  E_ENGINE_UNREACHABLE: 'remote',
  E_DAEMON_UNREACHABLE: 'remote',
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERROR_CODES;

/**
 * `message` is one sentence for a person: the value seen, the range allowed, and what to do.
 * Whoever throws leaves the state as it was before the call.
 */
export class AppError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'AppError';
    this.code = code;
  }

  get kind(): ErrorKind {
    return ERROR_CODES[this.code];
  }
}

/** Narrows a caught value to an `AppError` with one of `codes` (any code if none is given). */
export function isAppError(error: unknown, ...codes: readonly ErrorCode[]): error is AppError {
  return error instanceof AppError && (codes.length === 0 || codes.includes(error.code));
}

/** The errno name (`EADDRINUSE`) of a Node system error, if it is one. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}

import type { AppError, ErrorCode } from '../../base/errors.ts';

/** Codes of the specification's table, and from 100 on this plugin's own. */
export const CODE = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  invalidEnvironment: 4,
  io: 5,
  decode: 6,
  invalidConfig: 7,
  tryLater: 11,
  unavailable: 50,
  unavailableAndDegraded: 51,
  refused: 100,
  attachedAlready: 101,
  differs: 102,
} as const;

/** What a runtime is told instead of a result. `message` is one sentence for a person. */
export class CniError extends Error {
  readonly code: number;
  /** Weft's own code, for scripts. */
  readonly details: string | undefined;

  constructor(code: number, message: string, details?: string) {
    super(message);
    this.name = 'CniError';
    this.code = code;
    this.details = details;
  }
}

/** Errors of the daemon that mean one of the specification's; the others are `refused`. */
const MEANINGS: Partial<Record<ErrorCode, number>> = {
  E_SANDBOX_MISSING: CODE.unknownContainer,
  E_IFNAME_INVALID: CODE.invalidEnvironment,
  E_NAME_INVALID: CODE.invalidConfig,
  E_VNI_RANGE: CODE.invalidConfig,
  E_MTU_RANGE: CODE.invalidConfig,
  E_MAC_INVALID: CODE.invalidConfig,
  E_ADDRESS_INVALID: CODE.invalidConfig,
  E_ADDRESS_OUTSIDE: CODE.invalidConfig,
  E_ADDRESS_RESERVED: CODE.invalidConfig,
  E_PORT_INVALID: CODE.invalidConfig,
  E_GATEWAY_MISSING: CODE.invalidConfig,
  E_BANDWIDTH_INVALID: CODE.invalidConfig,
  E_ROUTE_INVALID: CODE.invalidConfig,
  E_SUBNET_INVALID: CODE.invalidConfig,
  E_ENCAP_UNKNOWN: CODE.invalidConfig,
  E_NETWORK_MISSING: CODE.invalidConfig,
  E_STATE: CODE.io,
  E_ENDPOINT_EXISTS: CODE.attachedAlready,
  E_ADDRESS_NO_MAJORITY: CODE.tryLater,
  E_ADDRESS_AWAY: CODE.tryLater,
  E_ADDRESS_BUSY: CODE.tryLater,
};

export function fromAppError(error: AppError): CniError {
  return new CniError(MEANINGS[error.code] ?? CODE.refused, error.message, error.code);
}

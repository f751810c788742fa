import { AppError } from '../base/errors.ts';
import { asVni, MAX_VNI, type Vni } from '../base/types.ts';

/**
 * Least VNI that a network may have. RFC 7348 allows 0, but Linux takes `id 0` for its any-VNI
 * (metadata) mode and several switches take it for "none": a network 0 couldn't reach a foreign VTEP.
 */
export const MIN_NETWORK_VNI = 1;

/**
 * Checks the VNI that a person asked for.
 * @throws AppError E_VNI_RANGE
 */
export function checkVni(value: number): Vni {
  if (Number.isInteger(value) && value >= MIN_NETWORK_VNI && value <= MAX_VNI) return asVni(value);
  throw outOfRange(String(value));
}

/**
 * Reads a VNI in decimal digits.
 * @throws AppError E_VNI_RANGE
 */
export function parseVni(text: string): Vni {
  if (!/^\d{1,8}$/.test(text)) throw outOfRange(`"${text}"`);
  return checkVni(Number(text));
}

function outOfRange(seen: string): AppError {
  return new AppError(
    'E_VNI_RANGE',
    `The VNI ${seen} is out of range; give a whole number from ${MIN_NETWORK_VNI} to ${MAX_VNI}, or leave it out.`,
  );
}

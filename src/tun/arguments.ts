import { AppError } from '../base/errors.ts';
import type { Mac } from '../base/types.ts';
import { isStationMac, parseMac } from '../wire/mac.ts';

/** IFNAMSIZ less the closing zero byte. */
export const MAX_NAME_BYTES = 15;
/** What the kernel takes for a TAP: the least IPv4 MTU, and 65535 less the Ethernet header. */
export const MIN_MTU = 68;
export const MAX_MTU = 65521;
/** MAX_TAP_QUEUES of the kernel. */
export const MAX_QUEUES = 256;
/** Of super-frames, that many are 4 GiB of the kernel's memory. */
export const MAX_QUEUE_FRAMES = 65536;

/** The kernel names its settings for all interfaces and for new ones so, and refuses an interface called that. */
const RESERVED_NAMES: readonly string[] = ['.', '..', 'all', 'default'];

/** Why the kernel, or a person reading a log, could not do with `name`; undefined if it is fine. */
function nameFault(name: string): string | undefined {
  const bytes = Buffer.from(name);
  if (bytes.length === 0) return 'it is empty';
  if (bytes.length > MAX_NAME_BYTES) return `it is ${bytes.length} bytes long`;
  if (RESERVED_NAMES.includes(name)) return 'it is reserved';
  if (/[/:]/.test(name)) return 'it contains "/" or ":"';
  // The kernel looks at bytes, and to it 0xa0 is a space even inside a letter such as "à".
  if (/[\s\p{C}]/u.test(name) || bytes.includes(0xa0)) {
    return 'it contains white space or characters that do not print';
  }
  if (name.includes('%') && !/^[^%]*%d[^%]*$/.test(name))
    return 'it contains "%" other than one "%d"';
  return undefined;
}

/**
 * Checks an interface name, in which one `%d` may stand for a number that the kernel picks.
 * @throws AppError E_IFNAME_INVALID
 */
export function checkDeviceName(name: string): string {
  const fault = nameFault(name);
  if (fault === undefined) return name;
  throw new AppError(
    'E_IFNAME_INVALID',
    `${JSON.stringify(name)} can't name an interface: ${fault}; ` +
      `use 1 to ${MAX_NAME_BYTES} bytes without "/", ":" or spaces, such as "weft0" or "weft%d".`,
  );
}

/** @throws AppError E_MTU_RANGE */
export function checkMtu(mtu: number): number {
  if (Number.isInteger(mtu) && mtu >= MIN_MTU && mtu <= MAX_MTU) return mtu;
  throw new AppError(
    'E_MTU_RANGE',
    `The MTU ${mtu} is out of range; a device takes ${MIN_MTU} to ${MAX_MTU} bytes.`,
  );
}

/**
 * Reads a MAC that an interface may have: a station's, so neither zero nor a group address.
 * @throws AppError E_MAC_INVALID
 */
export function checkMac(text: string): Mac {
  const mac = parseMac(text);
  if (mac !== undefined && isStationMac(mac)) return mac;
  throw new AppError(
    'E_MAC_INVALID',
    `${JSON.stringify(text)} can't be an interface's MAC; ` +
      'give six bytes in hex whose first is even and which are not all zero, such as "02:00:00:00:00:01".',
  );
}

/** @throws AppError E_USAGE */
export function checkQueueFrames(frames: number): number {
  if (Number.isInteger(frames) && frames >= 1 && frames <= MAX_QUEUE_FRAMES) return frames;
  throw new AppError(
    'E_USAGE',
    `A queue of ${frames} frames is out of range; a device takes 1 to ${MAX_QUEUE_FRAMES}.`,
  );
}

/** @throws AppError E_USAGE */
export function checkQueues(queues: number): number {
  if (Number.isInteger(queues) && queues >= 1 && queues <= MAX_QUEUES) return queues;
  throw new AppError('E_USAGE', `A device has 1 to ${MAX_QUEUES} queues, not ${queues}.`);
}

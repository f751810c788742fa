import { constants } from 'node:os';
import { loadDeviceClass, type NativeDevice, type NativeFailure } from './addon.ts';
import { checkDeviceName } from './arguments.ts';
import { actError, openError, type DeviceKind } from './failure.ts';

/** A device by name. */
export interface DeviceTarget {
  readonly name: string;
  /** Path of its network namespace; default the process's own. */
  readonly netns?: string;
}

/** Ends the persistence of a device, so that it vanishes when nobody has it open. @throws AppError */
export function removeDevice(kind: DeviceKind, { name, netns = '' }: DeviceTarget): void {
  checkDeviceName(name);
  const native = new (loadDeviceClass())();
  const failure = attach(native, kind, { name, netns });
  if (failure !== undefined) throw openError(failure, { kind, name, netns });
  const result = native.setPersistent(false);
  native.close();
  if (result < 0) throw actError(name, 'end the persistence', result);
}

// The kernel lets a device be attached only in the way that it was made.
function attach(
  native: NativeDevice,
  kind: DeviceKind,
  target: Required<DeviceTarget>,
): NativeFailure | undefined {
  const common = { queues: 1, vnetHeaderBytes: 0, offloads: 0, mustExist: true };
  const options = { ...target, ...common, tap: kind === 'TAP' };
  const ignoreGone = (): void => undefined;
  const failure = native.open({ ...options, multiQueue: false }, ignoreGone);
  if (failure?.errno !== -constants.errno.EEXIST) return failure;
  return native.open({ ...options, multiQueue: true }, ignoreGone);
}

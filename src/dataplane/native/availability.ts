import { release } from 'node:os';
import { loadNativeAddon } from './addon.ts';

export interface NativeAvailability {
  readonly available: boolean;
  /** Why not: a sentence without its full stop. Empty if it is available. */
  readonly reason: string;
}

/** Whether the native data plane can run in this process. Loads the addon, opens nothing. */
export function nativeAvailability(): NativeAvailability {
  try {
    loadNativeAddon();
    return { available: true, reason: '' };
  } catch (error) {
    const cause = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    return { available: false, reason: `its addon can't be loaded (${cause}): run npm run build` };
  }
}

/** UDP super-frames may be written to a TAP since Linux 6.2, which brought TUN_F_USO4 as well. */
const FIRST_WITH_UDP_SUPER_FRAMES = [6, 2] as const;

/** @param kernel  as `uname -r` says: `6.1.0-18-amd64` */
export function takesUdpSuperFrames(kernel = release()): boolean {
  const [major = 0, minor = 0] = kernel.split('.').map(Number);
  const [wantedMajor, wantedMinor] = FIRST_WITH_UDP_SUPER_FRAMES;
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

import { AppError } from './errors.ts';
import { loadAddon } from './package-root.ts';

/** native/host: what Node lacks to be a good service on Linux. */
export interface HostAddon {
  /** sd_notify(3) to a socket's path. Answers 0 or an errno, as `lock` does. */
  notify(path: string, text: string): number;
  lock(fd: number): number;
  /** A descriptor, or an errno as a negative number. An empty `device` means any. */
  bound(isStream: boolean, address: string, port: number, device: string): number;
  /** Empty if there is none. */
  interfaceName(index: number): string;
  /** malloc_trim(3), and lets go of the pages of programs and libraries that were only read (madvise(2)). */
  trim(): void;
}

/** @throws AppError E_PLATFORM */
export function loadHost(): HostAddon {
  try {
    return loadAddon('host') as HostAddon;
  } catch (cause) {
    throw new AppError('E_PLATFORM', 'The native addon "host" is not built; run "npm run build".', {
      cause,
    });
  }
}

import { AppError } from '../../base/errors.ts';
import { loadAddon } from '../../base/package-root.ts';

/** Four bytes of a message that are written where it is sent: an interface's index, or an open namespace. */
export interface Patch {
  readonly kind: 'index' | 'fd';
  readonly at: number;
  /** The interface's name; the namespace's path. */
  readonly text: string;
}

/** A message of rtnetlink(7) with its header, or a value for a file that depends on the namespace. */
export type Step =
  | {
      readonly message: Buffer;
      readonly patches: readonly Patch[];
      /** Of a message that removes a link, its name: the step ends when it is gone, with its peer. */
      readonly removes?: string;
    }
  | { readonly path: string; readonly value: string };

export interface Outcome {
  /** Index of the step that was refused; -1 if the namespace could not be entered. */
  readonly failedAt: number;
  /** 0 if all was done. */
  readonly errno: number;
  /** In the kernel's words. */
  readonly why: string;
  /** The messages that answer each step, one behind the other. */
  readonly replies: readonly Buffer[];
}

/**
 * Performs steps in order in the namespace at a path ('': the process's own) on another thread, and stops
 * at the first that is refused. Never rejects.
 */
export type Perform = (netns: string, steps: readonly Step[]) => Promise<Outcome>;

/** Loads `netlink.node` (native/netlink/binding.cpp). @throws AppError E_PLATFORM */
export function loadPerform(): Perform {
  let addon: { readonly perform?: unknown };
  try {
    addon = loadAddon('netlink') as typeof addon;
  } catch (cause) {
    throw new AppError(
      'E_PLATFORM',
      'The native addon "netlink" can\'t be loaded; run "npm run build" in Weft\'s folder.',
      { cause },
    );
  }
  if (typeof addon.perform === 'function') return addon.perform as Perform;
  throw new AppError(
    'E_PLATFORM',
    'The native addon "netlink" is of another version than Weft; run "npm run build" in Weft\'s folder.',
  );
}

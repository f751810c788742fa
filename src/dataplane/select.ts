import { AppError } from '../base/errors.ts';
import type { DataPlane, DataPlaneOptions } from './dataplane.ts';

/** What a person may ask for; `auto` takes the native one where it can run. */
export type DataPlaneKind = 'auto' | DataPlane['description']['kind'];

/** One implementation, ready to be opened. */
export interface DataPlaneFactory {
  /** Why it can't run here: a sentence without its full stop. `undefined` if it can. */
  unavailable(): string | undefined;
  /** @throws AppError E_BIND or E_ADDRESS_INVALID; nothing stays open then */
  open(options: DataPlaneOptions): Promise<DataPlane>;
}

/** The implementations that this daemon was put together with. */
export interface DataPlaneFactories {
  /** Runs everywhere: never asked whether it is available. */
  readonly portable: Pick<DataPlaneFactory, 'open'>;
  /** Left out of a build that has none. */
  readonly native?: DataPlaneFactory;
}

export interface SelectedDataPlane {
  readonly plane: DataPlane;
  /** Why this one runs and not the other, for `weft status`. */
  readonly reason: string;
}

/**
 * Opens the data plane of the kind asked for. A native one that can run but fails to open (its port is
 * taken) is an error under `auto` as well: the portable one would fail for the same reason.
 * @throws AppError E_DATA_PLANE_UNAVAILABLE, or what the implementation's `open` throws
 */
export async function openDataPlane(
  kind: DataPlaneKind,
  options: DataPlaneOptions,
  { portable, native }: DataPlaneFactories,
): Promise<SelectedDataPlane> {
  if (kind === 'portable') {
    return { plane: await portable.open(options), reason: 'the portable data plane was asked for' };
  }
  const obstacle = native === undefined ? 'no native data plane is built' : native.unavailable();
  if (native !== undefined && obstacle === undefined) {
    const reason =
      kind === 'native'
        ? 'the native data plane was asked for'
        : 'the native data plane can run here';
    return { plane: await native.open(options), reason };
  }
  if (kind === 'native') {
    throw new AppError(
      'E_DATA_PLANE_UNAVAILABLE',
      `The native data plane can't run: ${obstacle ?? ''}; start with --data-plane auto or portable instead.`,
    );
  }
  return { plane: await portable.open(options), reason: obstacle ?? '' };
}

import { CniError, CODE } from './error.ts';

/** Versions of CNI's specification that a config may name, oldest first. */
export const SUPPORTED_VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type CniVersion = (typeof SUPPORTED_VERSIONS)[number];

export const NEWEST_VERSION: CniVersion = '1.1.0';

/** The first version that has each command. */
const SINCE = {
  ADD: '0.3.0',
  DEL: '0.3.0',
  CHECK: '0.4.0',
  GC: '1.1.0',
  STATUS: '1.1.0',
} as const satisfies Record<string, CniVersion>;

export type Command = keyof typeof SINCE;

export const COMMANDS = Object.keys(SINCE) as readonly Command[];

/** Whether a version is `since` or a later one. */
export function isSince(version: CniVersion, since: CniVersion): boolean {
  return SUPPORTED_VERSIONS.indexOf(version) >= SUPPORTED_VERSIONS.indexOf(since);
}

/** Reads a config's version. Rejects with code 1 one that is not spoken here, or lacks the command. */
export function checkVersion(version: unknown, command: Command): CniVersion {
  const known = SUPPORTED_VERSIONS.find((each) => each === version);
  if (known === undefined) {
    const seen = version === undefined ? 'no cniVersion' : `cniVersion ${JSON.stringify(version)}`;
    throw new CniError(
      CODE.incompatibleVersion,
      `The config names ${seen}; give one of ${SUPPORTED_VERSIONS.join(', ')}.`,
    );
  }
  if (isSince(known, SINCE[command])) return known;
  throw new CniError(
    CODE.incompatibleVersion,
    `The cniVersion ${known} has no ${command}; it came with ${SINCE[command]}.`,
  );
}

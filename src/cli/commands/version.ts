import type { Command } from 'commander';
import type { Control, VersionInfo } from '../../api/control.ts';
import { isAppError } from '../../base/errors.ts';
import { packageVersion } from '../../base/package-root.ts';
import { withJson, type Context } from '../context.ts';

interface Versions {
  readonly version: string;
  readonly node: string;
  readonly daemon?: VersionInfo;
}

/** The daemon's answer; nothing if none runs: this command must work before `weft up`. */
async function daemonVersion(control: Control): Promise<VersionInfo | undefined> {
  try {
    return await control.version();
  } catch (error) {
    if (isAppError(error, 'E_DAEMON_UNREACHABLE')) return undefined;
    throw error;
  }
}

function versionText({ version, node, daemon }: Versions): string {
  const own = `weft ${version} (node ${node})`;
  if (daemon === undefined) return `${own}, no daemon reached`;
  const { min, max } = daemon.protocol;
  const protocol = min === max ? `protocol ${min}` : `protocols ${min} to ${max}`;
  return `${own}\ndaemon ${daemon.version} (node ${daemon.node}), mesh ${protocol}`;
}

export function addVersionCommand(program: Command, context: Context): void {
  withJson(program.command('version'))
    .description("this program's version, and the daemon's if one runs")
    .action(async (_options, command: Command) => {
      const daemon = await daemonVersion(await context.control(command));
      const versions: Versions = {
        version: packageVersion,
        node: process.version,
        ...(daemon === undefined ? {} : { daemon }),
      };
      context.show(command, versions, versionText);
    });
}

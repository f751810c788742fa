import { Option, type Command } from 'commander';
import { DEFAULT_DOCKER_PLUGIN } from '../../base/defaults.ts';
import { isAppError } from '../../base/errors.ts';
import { UsageError, type Context } from '../context.ts';

interface UpFlags {
  readonly config?: string;
}

/** A wrong flag or setting, found before the daemon began, is wrong usage: exit status 2. */
async function asUsage<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (isAppError(error) && error.kind === 'usage')
      throw new UsageError(error.code, error.message);
    throw error;
  }
}

const collect = (text: string, all: string[] | undefined): string[] => [...(all ?? []), text];

function addUpFlags(command: Command): Command {
  return command
    .option('--config <file>', 'JSON file of settings; flags win over it (or WEFT_CONFIG)')
    .option('--name <name>', "this host's name in the mesh (default: the host name)")
    .option(
      '--listen <addr:port>',
      'where gossip listens: ADDR:PORT, :PORT or ADDR (default: :7783)',
    )
    .option('--advertise <addr[:port]>', 'what the others are told to send to (default: found out)')
    .option(
      '--gossip <choice>',
      'sealed or open: what hosts tell each other; the same on all (default: sealed)',
    )
    .option(
      '--mesh-key-file <path>',
      "first key of the mesh, 32 bytes in Base64 (default: made; or a token's)",
    )
    .option('--vxlan-port <n>', 'UDP port of plain VXLAN (default: 4789)')
    .option('--state-dir <dir>', 'where it remembers (default: /var/lib/weft)')
    .option('--data-plane <kind>', 'auto, native or portable (default: auto)')
    .option('--fast-path <choice>', 'auto or off: plain VXLAN in the kernel (default: auto)')
    .option('--threads <n>', 'threads of the native data plane, 1 to 8 (default: 1)')
    .option('--unknown-unicast-rate <n>', 'frames a second to unknown MACs (default: 1000)')
    .option('--join <host[:port]>', 'a host of the mesh to join; may be repeated', collect)
    .option(
      '--ipam-lease-seconds <n>',
      'how long addresses are given out without hearing from the voters (default: 300)',
    )
    .option(
      '--ipam-endpoint-lease-hours <n>',
      "how long a lost host's endpoints keep their addresses (default: 24)",
    )
    .option(
      '--trusted-subnet <cidr>',
      'where frames go in the clear to hosts that trust us likewise; may be repeated (default: none)',
      collect,
    )
    .option(
      '--link-rekey-seconds <n>',
      'how often sealed links change their keys, 10 to 120 (default: 120)',
    )
    .addOption(
      new Option('--docker-plugin [path]', 'serve Docker at this socket').preset(
        DEFAULT_DOCKER_PLUGIN,
      ),
    )
    .option(
      '--docker-socket <path>',
      "Docker's own API, for names of containers (default: /var/run/docker.sock)",
    )
    .option('--docker-scope <scope>', "local, or global for a cluster's engines (default: local)")
    .option('--dns <choice>', 'on or off: answer questions for names (default: on)')
    .option('--dns-domain <name>', 'what all names end in (default: weft.local)')
    .option(
      '--dns-listen <addr[:port]>',
      "where names are answered beside the bridges' addresses; may be repeated",
      collect,
    )
    .option('--dns-ttl <seconds>', 'how long answers may be kept, 0 to 3600 (default: 1)')
    .option(
      '--dns-upstream <addr[:port]>',
      'who is asked for other names; may be repeated (default: as in /etc/resolv.conf)',
      collect,
    )
    .option('--metrics <addr:port>', 'where Prometheus may ask for /metrics (default: nowhere)')
    .option('--log-level <level>', 'debug, info, warn, error or silent (default: info)');
}

/**
 * The one command that becomes the daemon: it stays in the foreground until a signal ends it. The
 * daemon's code is loaded here and not before, for the sake of the short commands.
 */
export function addUpCommand(program: Command, context: Context): void {
  addUpFlags(program.command('up'))
    .description('run the daemon in the foreground')
    .addHelpText('after', '\nExamples:\n  weft up\n  weft up --join host-a --listen 192.0.2.2:7783')
    .action(async (_flags, command: Command) => {
      const { config, ...flags } = command.optsWithGlobals<UpFlags & Record<string, unknown>>();
      const { keepSmall } = await import('../../daemon/footprint.ts');
      keepSmall();
      const { loadOptions } = await import('../../daemon/config.ts');
      const options = await asUsage(loadOptions({ config, flags, env: context.io.env }));
      const { runDaemon } = await import('../../daemon/main.ts');
      context.exitStatus = await runDaemon(options);
    });
}

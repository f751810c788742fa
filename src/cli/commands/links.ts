import type { Command } from 'commander';
import type { LinkDetail, LinkEvent, LinkPath } from '../../api/control.ts';
import { withJson, type Context } from '../context.ts';
import { facts, humanAge, humanBytes, table } from '../output.ts';

const milliseconds = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;

const sealedText = ({ cipher, trust }: LinkDetail): string => {
  if (cipher === undefined) return 'sealed, no keys yet';
  return trust?.isPlain === true ? 'plain where both ends trust it' : `sealed (${cipher})`;
};

const encapsulationText = (link: LinkDetail): string => {
  const { encapsulations, keys } = link;
  if (encapsulations.length === 0 && keys === 'none') return 'none shared';
  const sealed = sealedText(link);
  return encapsulations
    .map((encapsulation) => (encapsulation === 'sealed' ? sealed : 'plain VXLAN'))
    .join(', ');
};

const pathRow = ({
  path,
  origin,
  state,
  isUsed,
  rttMs,
  jitterMs,
  lossPercent,
}: LinkPath): string[] => [
  `${isUsed ? '* ' : '  '}${path}`,
  origin,
  state,
  rttMs === undefined ? '' : `${milliseconds(rttMs)} ± ${milliseconds(jitterMs)}`,
  `${Math.round(lossPercent)} %`,
];

function linkText(link: LinkDetail, wallNow: number): string {
  const { traffic, mtu, note, lastHandshake, paths, trust } = link;
  const head = facts([
    [link.peer, `${link.state}; ${encapsulationText(link)}`],
    ['path', `${link.path}, for ${humanAge(link.since, wallNow)}, changed ${link.flaps} times`],
    ['because', link.why],
    ...(trust === undefined
      ? []
      : ([['frames', `${trust.isPlain ? 'plain' : 'sealed'}: ${trust.why}`]] as const)),
    ...(mtu === undefined ? [] : ([['MTU', `${mtu} bytes`]] as const)),
    ...(lastHandshake === undefined
      ? []
      : ([['handshake', `${humanAge(lastHandshake, wallNow)} ago`]] as const)),
    ['received', `${traffic.rxFrames} frames (${humanBytes(traffic.rxBytes)})`],
    ['sent', `${traffic.txFrames} frames (${humanBytes(traffic.txBytes)})`],
    ...(note === undefined ? [] : ([['note', note]] as const)),
  ]);
  const measured = table(
    ['  PATH', 'KNOWN AS', 'STATE', 'ROUND TRIP', 'LOST'],
    paths.map(pathRow),
    '',
  );
  return measured === '' ? head : `${head}\n${measured}`;
}

function linksText(links: readonly LinkDetail[], wallNow: number): string {
  if (links.length === 0) return 'No other host is in the mesh.';
  return links.map((link) => linkText(link, wallNow)).join('\n\n');
}

const eventLine = ({ at, text }: LinkEvent): string => `${at}  ${text}`;

/** How long one question for events may wait: below the client's patience. */
const WAIT_SECONDS = 20;

interface EventFlags {
  readonly follow?: boolean;
  readonly json?: boolean;
}

async function showEvents(flags: EventFlags, command: Command, context: Context): Promise<void> {
  const control = await context.control(command);
  const isFollowing = flags.follow === true;
  let events = await control.events({});
  if (!isFollowing) {
    context.show(
      command,
      events,
      (shown) => shown.map(eventLine).join('\n') || 'Nothing has happened.',
    );
    return;
  }
  for (let last = 0; ;) {
    for (const event of events) {
      context.io.out(`${flags.json === true ? JSON.stringify(event) : eventLine(event)}\n`);
      last = event.sequence;
    }
    events = await control.events({ after: last, waitSeconds: WAIT_SECONDS });
  }
}

/** links, events, metrics: what carries frames to the other hosts, and why. */
export function addLinkCommands(program: Command, context: Context): void {
  withJson(program.command('links'))
    .argument('[host]', 'name or id of a host')
    .description('what carries frames to each host: path, why, alternatives, keys')
    .addHelpText('after', '\nExamples:\n  weft links\n  weft links host-b --json')
    .action(async (host: string | undefined, _options, command: Command) => {
      const links = await (await context.control(command)).links(host);
      context.show(command, links, (shown) => linksText(shown, context.io.wallNow()));
    });
  withJson(program.command('events'))
    .description('what has happened to links of late: changed paths, hosts out of reach, keys')
    .option('--follow', 'go on until interrupted; with --json, one document a line')
    .action((flags: EventFlags, command: Command) => showEvents(flags, command, context));
  program
    .command('metrics')
    .description("counters in Prometheus' text format; GET /metrics on the socket is the same")
    .action(async (_options, command: Command) => {
      context.io.out((await (await context.control(command)).metrics()).text);
    });
}

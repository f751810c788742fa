/** What the peers' set-up files share: a program on each host that makes a device, and its end. */
import type { Running } from '../contenders/contender.ts';
import type { LabHost, LabNamespace } from '../lib/lab.ts';
import type { LabProcess } from '../lib/process.ts';
import { temporaryDirectory } from '../lib/temporary.ts';
import type { Ends, Topology } from '../lib/topology.ts';
import { until } from '../lib/until.ts';

const DEVICE_MS = 10_000;
const SHOWN_LINES = 8;

/** One of the two hosts, as a set-up file needs to see it. */
export interface Side {
  /** `a` or `b`. */
  readonly name: string;
  /** 1 or 2: the last number of its addresses. */
  readonly number: number;
  readonly host: LabHost;
  readonly remote: LabHost;
}

export function sidesOf({ hosts: [a, b] }: Topology): readonly [Side, Side] {
  return [
    { name: 'a', number: 1, host: a, remote: b },
    { name: 'b', number: 2, host: b, remote: a },
  ];
}

/** Returns once `program` has made the device; rejects with what it said if it ended or took too long. */
export async function untilDevice(
  namespace: LabNamespace,
  ifname: string,
  program: LabProcess,
): Promise<void> {
  const said = (): string => program.output.split('\n').slice(-SHOWN_LINES).join('\n');
  const isThere = async (): Promise<boolean> => {
    if (!program.isRunning) throw new Error(`it ended before it made ${ifname}:\n${said()}`);
    const { status } = await namespace.tryRun('ip', ['link', 'show', ifname]);
    return status === 0;
  };
  await until(`the device ${ifname}`, isThere, DEVICE_MS).catch((cause: unknown) => {
    throw new Error(`${(cause as Error).message}\n${said()}`, { cause });
  });
}

export type StartSide = (side: Side, directory: string) => Promise<readonly LabProcess[]>;

/** Starts the peer's programs on both sides with a directory for keys and configuration. */
export async function startSides(
  topology: Topology,
  ends: Ends,
  start: StartSide,
): Promise<Running> {
  const directory = temporaryDirectory('peer');
  const programs: LabProcess[] = [];
  for (const side of sidesOf(topology)) programs.push(...(await start(side, directory.path)));
  return {
    ends,
    daemonPids: programs.flatMap(({ pid }) => pid ?? []),
    async down() {
      await Promise.all(programs.map((program) => program.stop()));
      directory.remove();
    },
  };
}

import { blackHole } from '../lib/black-hole.ts';
import { SequenceFlow } from '../lib/sequence-flow.ts';
import { until } from '../lib/until.ts';
import type { Figure } from './figure.ts';
import { addressOf, linkTo, waitForPath, type LinkMesh } from './mesh.ts';

const EVERY_MS = 5;
const LONG_MS = 60_000;
const MUST_BACK_MS = 10_000;
const V4 = /^direct 192\.0\.2\.2:/;

interface Way {
  readonly title: string;
  readonly port: number;
  readonly mustMs: number;
  /** What stops passing, on each of the first two hosts. */
  readonly cuts: readonly [readonly string[], readonly string[]];
  readonly other: RegExp;
  readonly back: RegExp;
}

const from = (number: number): string[] => [
  `ip saddr 192.0.2.${number} udp dport 7783`,
  `ip6 saddr 2001:db8::${number} udp dport 7783`,
];

const WAYS: readonly Way[] = [
  {
    ...{ title: 'another direct path', port: 7001, mustMs: 1000 },
    cuts: [[], ['iifname u0 ip protocol udp']],
    ...{ other: /^direct \[2001:db8::2\]:/, back: V4 },
  },
  {
    ...{ title: 'a relay', port: 7002, mustMs: 2000 },
    cuts: [from(2), from(1)],
    ...{ other: /^relay c$/, back: /^direct / },
  },
];

async function settled(mesh: LinkMesh): Promise<void> {
  const [a] = mesh.hosts;
  if (a === undefined) throw new Error('there is no host');
  await waitForPath(a, 'b', V4);
  await until(
    'both direct paths to answer',
    async () => {
      const { paths } = await linkTo(a, 'b');
      const up = paths.filter(({ path, state }) => path.startsWith('direct') && state === 'up');
      return up.length === 2;
    },
    LONG_MS,
  );
}

async function measureWay(mesh: LinkMesh, way: Way): Promise<Figure[]> {
  const [a, b] = mesh.hosts;
  const [web, db] = mesh.containers;
  if (!a || !b || !web || !db) throw new Error('two hosts with containers are wanted');
  await waitForPath(a, 'b', V4);
  const flow = await SequenceFlow.start(web, db, addressOf(1), EVERY_MS, way.port);
  await flow.goesOn();
  const holes = [
    await blackHole(a.host.namespace, ...way.cuts[0]),
    await blackHole(b.host.namespace, ...way.cuts[1]),
  ];
  await waitForPath(a, 'b', way.other);
  await flow.goesOn();
  const { worst: gapMs, lost: before } = flow.now;
  const started = performance.now();
  for (const hole of holes) await hole.undo();
  await waitForPath(a, 'b', way.back);
  const backMs = performance.now() - started;
  await flow.goesOn();
  const lost = flow.now.lost - before;
  await flow.stop();
  return [
    {
      what: `a path dies: traffic on ${way.title}`,
      must: `≤ ${way.mustMs / 1000} s`,
      seen: `${gapMs.toFixed(0)} ms without a datagram`,
      isReached: gapMs <= way.mustMs,
      values: { gapMs },
    },
    {
      what: `it heals: back from ${way.title}`,
      must: `≤ ${MUST_BACK_MS / 1000} s, 0 lost`,
      seen: `${(backMs / 1000).toFixed(1)} s, ${lost} lost`,
      isReached: backMs <= MUST_BACK_MS && lost === 0,
      values: { backMs, lost },
    },
  ];
}

/** Counted datagrams while the path that carries them dies and heals. */
export async function measureFailover(mesh: LinkMesh): Promise<Figure[]> {
  await settled(mesh);
  const figures = [];
  for (const way of WAYS) figures.push(...(await measureWay(mesh, way)));
  return figures;
}

import { setTimeout as pause } from 'node:timers/promises';
import { median } from '../lib/statistics.ts';
import type { Figure } from './figure.ts';
import { addressOf, type LinkMesh } from './mesh.ts';

const SECONDS = 60;
/** New links try all addresses and search their MTU first. */
const SETTLE_MS = 60_000;
const MUST_BYTES = 50;
const MUST_BEYOND_MS = 3;
const PINGS = 40;
/** What links send by themselves; the rest is gossip's, and grows with the mesh and not with its pairs. */
const LINK_KINDS = ['pathProbes', 'mtuProbes', 'handshakes'] as const;

/** Bytes that all hosts together have sent, by kind, with the headers of UDP and IP. */
async function sentBytes({ hosts }: LinkMesh): Promise<ReadonlyMap<string, number>> {
  const sums = new Map<string, number>();
  for (const host of hosts) {
    const { sent } = (await host.status()).links;
    for (const [kind, { bytes }] of Object.entries(sent)) {
      sums.set(kind, (sums.get(kind) ?? 0) + bytes);
    }
  }
  return sums;
}

/** Bytes a second, by kind. */
async function rates(mesh: LinkMesh): Promise<ReadonlyMap<string, number>> {
  const [before, started] = [await sentBytes(mesh), performance.now()];
  await pause(SECONDS * 1000);
  const [after, seconds] = [await sentBytes(mesh), (performance.now() - started) / 1000];
  return new Map(
    [...after].map(([kind, bytes]) => [kind, (bytes - (before.get(kind) ?? 0)) / seconds]),
  );
}

async function firstFrame({ containers }: LinkMesh): Promise<Figure> {
  const [from] = containers;
  if (from === undefined) throw new Error('there is no container');
  const target = addressOf(1);
  const [first = NaN] = (await from.ping(target, { count: 1 })).roundTripsMs;
  const { roundTripsMs } = await from.ping(target, { count: PINGS, intervalSeconds: 0.05 });
  const rttMs = median(roundTripsMs);
  const addedMs = Math.max(0, first - rttMs);
  return {
    what: `first frame after ${SECONDS} s of silence: time added`,
    must: `≤ 2 RTT + ${MUST_BEYOND_MS} ms`,
    seen: `${addedMs.toFixed(2)} ms (RTT ${rttMs.toFixed(2)} ms)`,
    isReached: addedMs <= 2 * rttMs + MUST_BEYOND_MS,
    values: { addedMs, rttMs },
  };
}

/** IPv6 of containers asks for routers and reports its groups, which is their traffic and no link's. */
async function silence({ containers }: LinkMesh): Promise<void> {
  for (const container of containers) {
    await container.run('sysctl', ['-qw', 'net.ipv6.conf.all.disable_ipv6=1']);
  }
}

/** What links send when nobody has anything to say, and what the first to speak waits for. Connects the mesh. */
export async function measureIdle(mesh: LinkMesh): Promise<Figure[]> {
  await mesh.connect();
  await silence(mesh);
  await pause(SETTLE_MS);
  const all = await rates(mesh);
  const first = await firstFrame(mesh);
  const { length } = mesh.hosts;
  const pairs = (length * (length - 1)) / 2;
  const ofPair = LINK_KINDS.map((kind) => [kind, (all.get(kind) ?? 0) / pairs] as const);
  const perPair = ofPair.reduce((sum, [, rate]) => sum + rate, 0);
  const parts = ofPair.map(([kind, rate]) => `${kind} ${rate.toFixed(1)}`).join(', ');
  const gossip = (all.get('gossip') ?? 0) / length;
  return [
    first,
    {
      what: "an idle pair's background traffic beyond gossip's, both ways",
      must: `≤ ${MUST_BYTES} B/s`,
      seen: `${perPair.toFixed(0)} B/s (${parts}; gossip: ${gossip.toFixed(0)} B/s a host)`,
      isReached: perPair <= MUST_BYTES,
      values: { perPair, gossip, ...Object.fromEntries(ofPair) },
    },
  ];
}

/** What a relay hop costs sealed frames: TCP straight and by a third host, in turn. */
import type { Lab } from './lab.ts';
import { SEALED_MTU, SealedHost, type SealedPair, startSealedPair } from './sealed-host.ts';
import { Topology } from './topology.ts';
import { CONGESTION_CONTROL } from '../probes/tcp.ts';

/** Of direct throughput; issue 5. */
export const MUST_RATIO = 0.4;
const RELAY_HEADER_BYTES = 12;

/** A pair of hosts on a switch, and a third that can pass on what they send each other. */
export interface Relayed {
  readonly pair: SealedPair;
  readonly relay: SealedHost;
}

export async function relayedPair(lab: Lab): Promise<Relayed> {
  const topology = await Topology.build(lab, 'offload', ['c']);
  const [c] = topology.others;
  const [a, b] = topology.hosts;
  if (c === undefined) throw new Error('The lab made no third host.');
  const pair = await startSealedPair(topology, SEALED_MTU - RELAY_HEADER_BYTES);
  const relay = await SealedHost.start(c, a);
  await relay.relayBetween([a, b]);
  return { pair, relay };
}

/** Both ends take the same way. */
async function go({ pair: { hosts }, relay }: Relayed, byRelay: boolean): Promise<void> {
  const [a, b] = hosts;
  await a.setPath(byRelay ? relay.host : undefined, b.host);
  await b.setPath(byRelay ? relay.host : undefined, a.host);
}

async function throughput({ ends }: SealedPair, streams: number, seconds: number): Promise<number> {
  const { bitsPerSecond } = await ends.client.iperfTo(ends.server, {
    ...{ address: ends.serverAddress, seconds, streams },
    extra: ['-C', CONGESTION_CONTROL],
  });
  return bitsPerSecond / 1e9;
}

/** Interleaved, so that a machine that slows down slows both down. @returns Gb/s of each round */
export async function inTurn(
  relayed: Relayed,
  streams: number,
  { rounds, seconds }: { readonly rounds: number; readonly seconds: number },
): Promise<{ readonly direct: number[]; readonly byRelay: number[] }> {
  const direct: number[] = [];
  const byRelay: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const isRelayed of round % 2 === 0 ? [false, true] : [true, false]) {
      await go(relayed, isRelayed);
      const gbps = await throughput(relayed.pair, streams, seconds);
      (isRelayed ? byRelay : direct).push(gbps);
    }
  }
  return { direct, byRelay };
}

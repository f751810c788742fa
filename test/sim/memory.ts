import { seededRng } from '../../src/base/rng.ts';
import type { Effect } from '../../src/gossip/effects.ts';
import { Machine } from '../../src/gossip/machine.ts';
import { asPeerId } from '../../src/base/types.ts';
import { FakeSignatures } from '../fakes/fake-signatures.ts';
import type { SimHost } from './host.ts';

const SAMPLES = 5;

/** One more machine that has learnt all that `host` knows from a message, as a real host does. */
function newcomer(host: SimHost, number: number): Machine {
  const { config } = host.cluster;
  const self = {
    ...host.machine.self,
    id: asPeerId(`${number}`.padStart(32, 'e')),
    name: `newcomer-${number}`,
    address: { address: `192.0.2.${number}`, port: 7783 },
  };
  const at = host.instant();
  const signatures = new FakeSignatures(self.id);
  const settings = { self, signatures, label: 'sim', config, rng: seededRng(number) };
  const machine = new Machine(settings, at);
  const { exchange, effects } = machine.join(host.reached, at);
  const call = effects.find((effect): effect is Exchange => effect.kind === 'exchange');
  const { answer } = host.machine.answer(Buffer.from(call?.request ?? []), self.address, at);
  machine.exchanged(exchange, Buffer.from(answer ?? []), at);
  return machine;
}

type Exchange = Extract<Effect, { kind: 'exchange' }>;

/**
 * Bytes of heap that one host's gossip takes once it knows what `host` knows. Simulated hosts share
 * what they say of themselves, so that theirs would be too little. Needs node's --expose-gc.
 */
export function memoryPerHost(host: SimHost): number {
  const collect = globalThis.gc;
  if (collect === undefined) return NaN;
  newcomer(host, 200);
  collect();
  const before = process.memoryUsage().heapUsed;
  const machines = Array.from({ length: SAMPLES }, (_, index) => newcomer(host, index + 1));
  collect();
  const grown = process.memoryUsage().heapUsed - before;
  return grown / machines.length;
}

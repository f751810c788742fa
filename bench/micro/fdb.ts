import { seededRng, shuffle } from '../../src/base/rng.ts';
import { asMac, asMillis } from '../../src/base/types.ts';
import { DEFAULT_FDB_CAPACITY, DEFAULT_FDB_MAX_AGE, Fdb } from '../../src/dataplane/fdb.ts';
import { measure, type Loop, type MicroResult } from './measure.ts';

/**
 * What the forwarding database costs per operation on a table filled to its default capacity, with
 * MACs asked for in random order, so that the caches of the CPU help no more than they would in life.
 */
const ENTRIES = DEFAULT_FDB_CAPACITY;
const FIRST_MAC = 0x02005e100000;
const SEED = 1;

function shuffledMacs(first: number): Float64Array {
  const macs = Array.from({ length: ENTRIES }, (_, index) => first + index);
  return Float64Array.from(shuffle(seededRng(SEED), macs));
}

function createFdb(): Fdb {
  return new Fdb({ capacity: ENTRIES, maxAge: DEFAULT_FDB_MAX_AGE }, seededRng(SEED));
}

function createFullFdb(macs: Float64Array): Fdb {
  const fdb = createFdb();
  for (const mac of macs) fdb.learn(asMac(mac), 1, asMillis(0));
  return fdb;
}

/** The operations by name: each does `operations` of them and returns a sum of what it found. */
export function createFdbLoops(): Readonly<Record<string, Loop>> {
  const known = shuffledMacs(FIRST_MAC);
  const unknown = shuffledMacs(FIRST_MAC + 2 * ENTRIES);
  const full = createFullFdb(known);
  const flooded = createFdb();
  let nextMac = FIRST_MAC;
  const lookups =
    (macs: Float64Array): Loop =>
    (operations) => {
      let sum = 0;
      for (let index = 0; index < operations; index++) {
        sum += full.lookup(asMac(macs[index % ENTRIES]!), asMillis(1));
      }
      return sum;
    };
  return {
    'fdb lookup, hit': lookups(known),
    'fdb lookup, miss': lookups(unknown),
    'fdb learn, known': (operations) => {
      for (let index = 0; index < operations; index++) {
        full.learn(asMac(known[index % ENTRIES]!), 1, asMillis(1));
      }
      return full.size;
    },
    'fdb learn, flood that evicts': (operations) => {
      // A local counter: one that the closure holds would be boxed anew at each step.
      const first = nextMac;
      nextMac += operations;
      for (let index = 0; index < operations; index++) {
        flooded.learn(asMac(first + index), 1, asMillis(1));
      }
      return flooded.size;
    },
  };
}

/** Measures every FDB operation. Takes a few seconds. */
export function runFdbMicro(): MicroResult[] {
  return Object.entries(createFdbLoops()).map(([name, loop]) => measure(name, loop));
}

import { fileURLToPath } from 'node:url';
import type { GossipContender } from './contender.ts';

const PROGRAM = fileURLToPath(new URL('./member-program.js', import.meta.url));

/** Weft's gossip as a daemon runs it (preset `lan`), without a data plane. */
const memberOf = (
  contender: Pick<GossipContender, 'name' | 'describe'>,
  gossip: 'sealed' | 'open',
): GossipContender => ({
  ...contender,
  async start(namespace, name, address) {
    const process = namespace.start(
      globalThis.process.execPath,
      [PROGRAM, name, address, gossip],
      {},
      'lines',
    );
    await process.waitForLine(/^ready$/, 60_000);
    return {
      ...{ name, address, process },
      join: (target) => {
        process.say(target);
        return Promise.resolve();
      },
    };
  },
  joined: (name) => new RegExp(`^alive ${name}$`),
  failed: (name) => new RegExp(`^dead ${name}$`),
});

export const weft = memberOf(
  {
    name: 'weft',
    describe:
      'Weft’s gossip driver on real sockets, sealed as by default, preset lan, no data plane',
  },
  'sealed',
);

export const weftOpen = memberOf(
  { name: 'weft-open', describe: 'the same with `--gossip open`: nothing is sealed' },
  'open',
);

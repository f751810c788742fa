import type { GossipContender } from './contender.ts';

const PORT = 7946;
const RPC_PORT = 7373;

/**
 * HashiCorp's serf with its defaults (profile lan). Its log tells what an agent holds as soon as it does;
 * event handlers are told about a second later, because serf gathers events.
 */
export const serf: GossipContender = {
  name: 'serf',
  describe: 'Debian’s serf, profile lan, defaults; times from its log, before it gathers events',
  packages: ['serf'],
  async start(namespace, name, address) {
    const rpc = `-rpc-addr=${address}:${RPC_PORT}`;
    const process = namespace.start('serf', [
      ...['agent', `-node=${name}`, `-bind=${address}:${PORT}`, rpc],
      ...['-profile=lan', '-log-level=info'],
    ]);
    await process.waitForLine(/Serf agent running/, 60_000);
    return {
      ...{ name, address, process },
      join: async (target) => {
        await namespace.run('serf', ['join', rpc, `${target}:${PORT}`]);
      },
    };
  },
  joined: (name) => new RegExp(`EventMemberJoin: ${name} `),
  failed: (name) => new RegExp(`EventMemberFailed: ${name} `),
};

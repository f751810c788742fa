import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Contender } from '../contenders/contender.ts';
import { run } from '../lib/process.ts';
import { sidesOf, startSides, untilDevice, type Side } from './tunnel.ts';

const DEVICE = 'tinc0';
const KEY_BITS = 2048;
const MTU = 1400;

/** Writes the configuration and host files of both sides, as an operator would copy them about. */
async function configure(sides: readonly Side[], directory: string): Promise<void> {
  for (const { name, host } of sides) {
    const own = join(directory, name);
    mkdirSync(join(own, 'hosts'), { recursive: true });
    const connectTo = name === 'b' ? 'ConnectTo = a\n' : '';
    writeFileSync(
      join(own, 'tinc.conf'),
      `Name = ${name}\nMode = switch\nDeviceType = tap\nInterface = ${DEVICE}\n${connectTo}`,
    );
    writeFileSync(join(own, 'hosts', name), `Address = ${host.address}\n`);
    await run('tincd', ['--config', own, `--generate-keys=${KEY_BITS}`], { input: '' });
  }
  for (const { name } of sides) {
    for (const other of sides) {
      const file = join(directory, other.name, 'hosts', other.name);
      writeFileSync(join(directory, name, 'hosts', other.name), readFileSync(file));
    }
  }
}

/** tinc 1.0 in switch mode with the ciphers it chooses by itself. Layer 2. */
export const tinc: Contender = {
  name: 'tinc',
  describe: `tinc from Debian, its default cipher, MTU ${MTU}`,
  packages: ['tinc'],
  async up(topology) {
    const ends = await topology.bridgedContainers(MTU);
    return startSides(topology, ends, async (side, directory) => {
      const { namespace } = side.host;
      if (side.number === 1) await configure(sidesOf(topology), directory);
      const own = join(directory, side.name);
      const pidFile = `--pidfile=${join(own, 'pid')}`;
      const program = namespace.start('tincd', ['--config', own, '--no-detach', pidFile]);
      await untilDevice(namespace, DEVICE, program);
      await namespace.ip(`link set ${DEVICE} master br0 up`);
      return [program];
    });
  },
};

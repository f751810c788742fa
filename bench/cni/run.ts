/** `npm run bench -- cni`: wall time of ADD and DEL as a runtime waits for them, beside the reference plugins. */
import { join } from 'node:path';
import { packageRoot } from '../../src/base/package-root.ts';
import { Lab, type LabNamespace } from '../lib/lab.ts';
import { describeMachine, machineFacts } from '../lib/machine.ts';
import { markdownTable } from '../lib/markdown.ts';
import type { CniOptions } from '../lib/options.ts';
import { quantile } from '../lib/statistics.ts';
import { temporaryDirectory } from '../lib/temporary.ts';
import { WeftHost } from '../lib/weft-host.ts';
import { installPackages } from '../peers/install.ts';

const REFERENCE = '/usr/lib/cni';
const WEFT = join(packageRoot, 'native/build/Release/weft-cni');
const COMMANDS = ['ADD', 'DEL'] as const;
type CommandName = (typeof COMMANDS)[number];

/** A plugin with its config, as a node of a cluster has them. */
interface Plugin {
  readonly name: string;
  readonly program: string;
  readonly config: object;
}

/** Calls the plugin on the node as a runtime does, and returns how long that took, in ms. */
async function call(
  node: LabNamespace,
  { program, config }: Plugin,
  command: CommandName,
  sandbox: LabNamespace,
): Promise<number> {
  const env = [`CNI_COMMAND=${command}`, `CNI_NETNS=${sandbox.path}`, `CNI_PATH=${REFERENCE}`];
  const more = [`CNI_CONTAINERID=${sandbox.name}`, 'CNI_IFNAME=eth0', 'CNI_ARGS=IgnoreUnknown=1'];
  const begin = performance.now();
  await node.run('env', [...env, ...more, program], { input: JSON.stringify(config) });
  return performance.now() - begin;
}

/** What `env` and entering the node's namespace take of each figure. */
async function callNothing(node: LabNamespace): Promise<number> {
  const begin = performance.now();
  await node.run('env', ['A=B', 'cat'], { input: '{}' });
  return performance.now() - begin;
}

async function measure(
  node: LabNamespace,
  plugins: readonly Plugin[],
  lab: Lab,
  rounds: number,
): Promise<Map<string, number[]>> {
  const samples = new Map<string, number[]>();
  const note = (key: string, ms: number): void => {
    samples.set(key, [...(samples.get(key) ?? []), ms]);
  };
  // The first of each makes the bridge and warms the caches; it does not count.
  for (let round = 0; round <= rounds; round++) {
    for (const plugin of plugins) {
      const sandbox = await lab.namespace(`p${round}`);
      for (const command of COMMANDS) {
        const ms = await call(node, plugin, command, sandbox);
        if (round > 0) note(`${plugin.name} ${command}`, ms);
      }
      await lab.removeNamespace(sandbox);
    }
    note('nothing', await callNothing(node));
  }
  return samples;
}

function row(name: string, values: readonly number[]): string[] {
  const at = (share: number): string => quantile(values, share).toFixed(1);
  return [name, at(0.5), at(0.9), at(1), String(values.length)];
}

/** Runs the benchmark in a lab of one node and prints a table; all is removed at its end. */
export async function runCni({ rounds }: CniOptions): Promise<void> {
  await installPackages([{ name: 'the reference', packages: ['containernetworking-plugins'] }]);
  const lab = new Lab('bcni');
  const directory = temporaryDirectory('bench-cni');
  try {
    const [host] = await lab.underlay(['node']);
    if (host === undefined) throw new Error('one host was asked for');
    const weft = new WeftHost(host, { name: 'node', directory: directory.path, dataPlane: 'auto' });
    await weft.up();
    await weft.weft('network', 'create', 'pods', '--subnet', '10.8.0.0/16');
    const keep = await lab.namespace('keep');
    await weft.attach('pods', keep, '10.8.0.1');
    const ipam = { type: 'host-local', subnet: '10.9.0.0/16', dataDir: directory.path };
    const common = { cniVersion: '1.0.0', name: 'pods' };
    const socket = join(directory.path, 'node.sock');
    const samples = await measure(
      host.namespace,
      [
        { name: 'weft', program: WEFT, config: { ...common, type: 'weft', socket } },
        {
          name: 'bridge + host-local',
          program: join(REFERENCE, 'bridge'),
          config: { ...common, type: 'bridge', bridge: 'cni0', isGateway: true, ipam },
        },
      ],
      lab,
      rounds,
    );
    console.log(`## CNI, one node\n\n${describeMachine(await machineFacts())}\n`);
    const columns = ['median ms', '90 %', 'most', 'calls'];
    console.log(
      markdownTable(
        [
          { title: 'call', align: 'left' },
          ...columns.map((title) => ({ title, align: 'right' as const })),
        ],
        [...samples]
          .sort(([a], [b]) => a.localeCompare(b))
          .map(([name, values]) => row(name, values)),
      ),
    );
    console.log('\n"nothing" is what entering the node takes, which every figure contains.');
  } finally {
    await lab.destroy();
    directory.remove();
  }
}

/** `npm run bench -- docker`: wall time of a container's whole life on Weft's network and on Docker's own. */
import { request } from 'node:http';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DockerEngine, IMAGE, makeImage } from '../lib/docker-engine.ts';
import { Lab } from '../lib/lab.ts';
import { describeMachine, machineFacts } from '../lib/machine.ts';
import { markdownTable } from '../lib/markdown.ts';
import type { DockerOptions } from '../lib/options.ts';
import { median, quantile } from '../lib/statistics.ts';
import { temporaryDirectory } from '../lib/temporary.ts';
import { WeftHost } from '../lib/weft-host.ts';
import { installPackages } from '../peers/install.ts';

/**
 * `userbridge` is a network of Docker's own bridge driver that a person made: unlike the default one it
 * has Docker's resolver, as every network of another driver. `macvlan` is the least that a network with the
 * resolver takes: its driver makes one interface and nothing else. `none` is a container without any network.
 */
const NETWORKS = ['weftnet', 'bridge', 'userbridge', 'macvlan', 'none'] as const;
/** Docker's own bridge, with its rules of iptables, as an engine has them that nobody configured. */
const USUAL: readonly string[] = [];
const ASK_EVERY_MS = 20;

type Samples = Map<string, number[]>;

function note(samples: Samples, key: string, ms: number): void {
  samples.set(key, [...(samples.get(key) ?? []), ms]);
}

/** How long the plugin's socket takes to answer a call that changes nothing, in ms. */
function askPlugin(socketPath: string): Promise<number> {
  const begin = performance.now();
  return new Promise((resolve, reject) => {
    const path = '/NetworkDriver.GetCapabilities';
    const sent = request({ socketPath, path, method: 'POST', agent: false }, (response) => {
      response.resume().on('end', () => resolve(performance.now() - begin));
    });
    sent.on('error', reject).end();
  });
}

/** Asks the socket again and again for as long as `work` lasts. */
async function whileAsking(socketPath: string, samples: Samples, work: () => Promise<void>) {
  const state = { isOver: false };
  const asking = (async () => {
    while (!state.isOver) {
      note(samples, 'a call of the socket meanwhile', await askPlugin(socketPath));
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
    }
  })();
  try {
    await work();
  } finally {
    state.isOver = true;
    await asking;
  }
}

/** One container after the other, the networks by turns; each one's first does not count. */
async function runAll(engine: DockerEngine, rounds: number, samples: Samples): Promise<void> {
  for (let round = 0; round <= rounds; round++) {
    for (const network of NETWORKS) {
      const begin = performance.now();
      await engine.docker('run', '--rm', '--network', network, IMAGE, 'true');
      if (round > 0) note(samples, `docker run --network ${network}`, performance.now() - begin);
    }
  }
}

function report(samples: Samples): string {
  const number = { align: 'right' } as const;
  return markdownTable(
    [
      { title: 'what', align: 'left' },
      ...['median ms', 'least', '90 %', 'most', 'samples'].map((title) => ({ title, ...number })),
    ],
    [...samples].map(([key, values]) => [
      key,
      ...[0.5, 0, 0.9, 1].map((share) => quantile(values, share).toFixed(1)),
      String(values.length),
    ]),
  );
}

/** Runs the benchmark in a lab of one host and prints a table; all is removed at its end. */
export async function runDocker({ rounds }: DockerOptions): Promise<void> {
  await installPackages([{ name: 'Docker', packages: ['docker.io', 'busybox-static'] }]);
  const lab = new Lab('bdocker');
  const directory = temporaryDirectory('bench-docker');
  let engine: DockerEngine | undefined;
  try {
    const [host] = await lab.underlay(['node']);
    if (host === undefined) throw new Error('one host was asked for');
    const { namespace } = host;
    const own = join(directory.path, 'd');
    mkdirSync(own);
    engine = new DockerEngine({ name: 'node', namespace, directory: own, flags: USUAL });
    const weft = new WeftHost(host, { name: 'node', directory: directory.path, dataPlane: 'auto' });
    const plugin = join(own, 'run/plugins/weft.sock');
    await weft.up('--docker-plugin', plugin, '--docker-socket', engine.socket);
    await engine.up();
    await engine.load(await makeImage(directory.path));
    const create = ['network', 'create', '--driver', 'weft', '--ipam-driver', 'weft'];
    await engine.docker(...create, '--subnet', '10.77.0.0/16', 'weftnet');
    await engine.docker('network', 'create', 'userbridge');
    await engine.docker('network', 'create', '--driver', 'macvlan', '-o', 'parent=u0', 'macvlan');
    const samples: Samples = new Map();
    const started = engine;
    await whileAsking(plugin, samples, () => runAll(started, rounds, samples));
    console.log(`## Docker, one engine\n\n${describeMachine(await machineFacts())}\n`);
    console.log(report(samples));
    const of = (network: string): number =>
      median(samples.get(`docker run --network ${network}`) ?? []);
    for (const other of ['bridge', 'userbridge', 'macvlan']) {
      console.log(
        `\nweftnet / ${other}: ${(of('weftnet') / of(other)).toFixed(3)} of the medians.`,
      );
    }
  } finally {
    await engine?.destroy();
    await lab.destroy();
    directory.remove();
  }
}

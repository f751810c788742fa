/** `npm run bench -- dns`: how fast a host answers for names, asked by dnsperf from a container. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NetworkInfo } from '../../src/api/control.ts';
import { createClient } from '../../src/api/client.ts';
import { Lab, type LabNamespace } from '../lib/lab.ts';
import { describeMachine, machineFacts } from '../lib/machine.ts';
import { markdownTable } from '../lib/markdown.ts';
import type { DnsOptions } from '../lib/options.ts';
import { quantile } from '../lib/statistics.ts';
import { temporaryDirectory } from '../lib/temporary.ts';
import { until } from '../lib/until.ts';
import { WeftHost } from '../lib/weft-host.ts';
import { parseDnsperf, type DnsRun } from './dnsperf.ts';

const NETWORK = 'bench';
const SERVER = '10.77.0.1';
const ADDRESS = '10.77.0.2';
const NAME = 'web.weft.local';
const DATA = 'queries.txt';

/** Questions at a fixed rate, or with 100 always outstanding. */
async function ask(
  from: LabNamespace,
  file: string,
  seconds: number,
  rate?: number,
): Promise<DnsRun> {
  const words = ['-s', SERVER, '-d', file, '-l', String(seconds), '-t', '2', '-c', '4', '-v'];
  const limit = rate === undefined ? [] : ['-Q', String(rate)];
  return parseDnsperf(
    await from.run('dnsperf', [...words, ...limit], { timeoutMs: (seconds + 20) * 1000 }),
  );
}

/** A host with a container that asks, and as many further names as wanted. */
async function prepare(lab: Lab, directory: string, names: number): Promise<LabNamespace> {
  const [on] = await lab.underlay(['a', 'b']);
  if (on === undefined) throw new Error('the lab made no host');
  const host = new WeftHost(on, { name: 'a', directory, dataPlane: 'auto' });
  await host.up();
  const control = createClient({ socket: join(directory, 'a.sock') });
  const network: NetworkInfo = await control.createNetwork({
    name: NETWORK,
    subnet: '10.77.0.0/16',
  });
  const container = await lab.namespace('c');
  const netns = container.name;
  await control.attach({ network: NETWORK, netns, ip: ADDRESS, names: ['web'] });
  await on.namespace.ip(`addr replace ${SERVER}/16 dev weft-${network.vni}`);
  for (let index = 0; index < names; index++) {
    const address = `10.77.${1 + (index >> 8)}.${index & 255}`;
    await control.addName({ name: `n${index}`, address, network: NETWORK });
  }
  await until('names to be answered', async () => {
    const asked = await container.tryRun('dnsperf', [
      '-s',
      SERVER,
      '-d',
      file(directory),
      '-n',
      '1',
    ]);
    return asked.status === 0 && asked.stdout.includes('NOERROR 1 ');
  });
  return container;
}

const file = (directory: string): string => join(directory, DATA);

function cells(title: string, { sent, lost, perSecond, latenciesMs }: DnsRun): string[] {
  const at = (share: number): string => quantile(latenciesMs, share).toFixed(2);
  return [title, String(sent), String(lost), perSecond.toFixed(0), at(0.5), at(0.99), at(1)];
}

export async function runDns(options: DnsOptions): Promise<void> {
  const lab = new Lab('dns');
  const directory = temporaryDirectory('dns');
  try {
    writeFileSync(file(directory.path), `${NAME} A\n`);
    const facts = await machineFacts();
    const container = await prepare(lab, directory.path, options.names);
    const { rate, seconds, names } = options;
    const paced = await ask(container, file(directory.path), seconds, rate);
    const full = await ask(container, file(directory.path), seconds);
    const right = (title: string) => ({ title, align: 'right' as const });
    const columns = [
      { title: 'asked', align: 'left' as const },
      ...['sent', 'lost', 'answers/s', 'p50 ms', 'p99 ms', 'most ms'].map(right),
    ];
    console.log(`## Weft DNS bench\n\n${describeMachine(facts)}\n`);
    console.log(
      `dnsperf asks one name of ${names + 1} from a container on the same machine, ${seconds} s each.\n`,
    );
    console.log(
      markdownTable(columns, [cells(`${rate} a second`, paced), cells('100 outstanding', full)]),
    );
    if (options.json === undefined) return;
    const content = { machine: facts, options, paced, full };
    writeFileSync(options.json, `${JSON.stringify(content, undefined, 1)}\n`);
  } finally {
    await lab.destroy();
    directory.remove();
  }
}

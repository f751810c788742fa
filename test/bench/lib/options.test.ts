import test from 'ava';
import { CommanderError } from 'commander';
import {
  benchProgram,
  type BenchOptions,
  type CniOptions,
  type DnsOptions,
  type DockerOptions,
  type GossipOptions,
  type LinksOptions,
  type MicroOptions,
} from '../../../bench/lib/options.ts';

interface Heard {
  bench?: BenchOptions;
  micro?: MicroOptions;
  gossip?: GossipOptions;
  cni?: CniOptions;
  docker?: DockerOptions;
  dns?: DnsOptions;
  links?: LinksOptions;
}

async function parse(...words: string[]): Promise<Heard> {
  const heard: Heard = {};
  const program = benchProgram(['bare', 'weft'], ['rtt', 'tcp1'], {
    bench: (options) => Promise.resolve(void (heard.bench = options)),
    micro: (options) => Promise.resolve(void (heard.micro = options)),
    gossip: (options) => Promise.resolve(void (heard.gossip = options)),
    cni: (options) => Promise.resolve(void (heard.cni = options)),
    docker: (options) => Promise.resolve(void (heard.docker = options)),
    dns: (options) => Promise.resolve(void (heard.dns = options)),
    links: (options) => Promise.resolve(void (heard.links = options)),
  });
  program.exitOverride().configureOutput({ writeErr: () => undefined });
  await program.parseAsync(words, { from: 'user' });
  return heard;
}

test('without options all contenders run three rounds on the veth as it is', async (t) => {
  const { bench } = await parse();
  t.like(bench, {
    underlay: 'offload',
    rounds: 3,
    seconds: 3,
    pacedMbps: 'auto',
    base: 'kernel-vxlan',
    peers: false,
  });
  t.is(bench?.contenders, undefined);
});

test('the gossip bench has options of its own', async (t) => {
  const { bench, gossip } = await parse('gossip');
  t.deepEqual(gossip, { hosts: 50, rounds: 10, idleSeconds: 30, only: ['weft', 'serf'] });
  t.is(bench, undefined);
  const other = await parse('gossip', '--hosts', '5', '--only', 'weft', '--json', 'a.json');
  t.like(other.gossip, { hosts: 5, only: ['weft'], json: 'a.json' });
});

test('options are read and converted', async (t) => {
  const words =
    '--underlay no-offload --rounds 5 --seconds 5 --contenders weft,bare --metrics rtt --base weft --paced-mbps 9';
  const { bench } = await parse(...words.split(' '), '--json', 'a.json', '--plot', 'a.svg');
  t.like(bench, {
    ...{ underlay: 'no-offload', rounds: 5, seconds: 5, json: 'a.json', plot: 'a.svg' },
    contenders: ['weft', 'bare'],
    metrics: ['rtt'],
    base: 'weft',
    pacedMbps: 9,
  });
});

for (const words of [
  '--rounds 0',
  '--rounds 1.5',
  '--rounds x',
  '--seconds 0.5',
  '--underlay fast',
  '--contenders bare,nobody',
  '--metrics ping',
  '--base nobody',
  '--paced-mbps fast',
  'macro',
]) {
  test(`refused: ${words}`, async (t) => {
    await t.throwsAsync(parse(...words.split(' ')), { instanceOf: CommanderError });
  });
}

test('micro has a --json of its own', async (t) => {
  const { bench, micro } = await parse('micro', '--json', 'm.json');
  t.is(bench, undefined);
  t.deepEqual(micro, { json: 'm.json' });
});

test('the CNI bench has rounds', async (t) => {
  t.deepEqual((await parse('cni')).cni, { rounds: 30 });
  t.deepEqual((await parse('cni', '--rounds', '5')).cni, { rounds: 5 });
  t.deepEqual((await parse('docker')).docker, { rounds: 20 });
  t.deepEqual((await parse('docker', '--rounds', '5')).docker, { rounds: 5 });
});

test('dns asks 8000 questions a second unless told otherwise', async (t) => {
  t.like((await parse('dns')).dns, { rate: 8000, seconds: 10, names: 1000 });
  t.like((await parse('dns', '--rate', '100', '--names', '0')).dns, { rate: 100, names: 0 });
});

test('links measures all there is, or what is named', async (t) => {
  t.deepEqual((await parse('links')).links, {});
  const words = ['--only', 'forged,relay', '--json', 'links.json'];
  t.deepEqual((await parse('links', ...words)).links, {
    ...{ only: ['forged', 'relay'], json: 'links.json' },
  });
});

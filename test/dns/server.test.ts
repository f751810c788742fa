import packet from 'dns-packet';
import test from 'ava';
import { nullLogger } from '../../src/base/log.ts';
import { seededRng } from '../../src/base/rng.ts';
import { asPeerId } from '../../src/base/types.ts';
import { AnswerCache } from '../../src/dns/answer-cache.ts';
import { zeroCounts } from '../../src/dns/counters.ts';
import { Resolver } from '../../src/dns/resolver.ts';
import { DnsServer } from '../../src/dns/server.ts';
import type { Handle } from '../../src/dns/sockets.ts';
import { Zone } from '../../src/dns/zone.ts';

const AT = { address: '10.7.0.1', port: 53, network: 'blue' };
const host = asPeerId('b');

interface Asking {
  readonly id?: number;
  readonly asker?: string;
  readonly type?: 'A' | 'AAAA';
  readonly by?: 'udp' | 'tcp';
}

/** A server that is asked without sockets, and how often it made an answer anew. */
async function server() {
  const dead = new Set<string>();
  const zone = new Zone((each) => !dead.has(each));
  zone.setNetwork('blue', ['10.7.0.0/24']);
  zone.put('1', { network: 'blue', host, names: ['web'], addresses: ['10.7.0.2'] });
  zone.put('2', { network: 'red', host, names: ['web'], addresses: ['10.9.0.2'] });
  const counts = zeroCounts();
  const views = new Map([['10.7.0.9', ['red']]]);
  const state = { made: 0, version: 0, handle: (() => undefined) as Handle };
  const resolver = new Resolver({ zone, rng: seededRng(1), domain: 'weft.local', ttlSeconds: 1 });
  const dns = new DnsServer({
    ...{ counts, log: nullLogger },
    resolver: {
      resolve: (...question: Parameters<Resolver['resolve']>) => {
        state.made++;
        return resolver.resolve(...question);
      },
    },
    forwarder: { forward: () => Promise.resolve(undefined) },
    permit: (_at, asker) => ({ view: views.get(asker) ?? ['blue'], mayForward: true }),
    version: () => zone.version + state.version,
    sockets: {
      listen: (_at, handle) => {
        state.handle = handle;
        return Promise.resolve({ close: () => Promise.resolve() });
      },
    },
  });
  await dns.listenAt([AT]);
  const question = (name: string, id: number, type: 'A' | 'AAAA'): Buffer =>
    packet.encode({
      ...{ type: 'query', id, flags: packet.RECURSION_DESIRED },
      questions: [{ type, name }],
    });
  const ask = async (
    name: string,
    { id = 7, asker = '10.7.0.8', type = 'A', by = 'udp' }: Asking = {},
  ) => {
    const answer = await state.handle(question(name, id, type), asker, by);
    if (answer === undefined) throw new Error(`${name} was not answered`);
    const { answers = [], ...rest } = packet.decode(answer);
    const data = answers.map((each) => (each.type === 'A' ? each.data : each.type));
    return { id: rest.id, name: rest.questions?.[0]?.name, data };
  };
  return { zone, dead, counts, views, state, ask };
}

test('a question that was answered is not answered anew, and each asker gets its own id', async (t) => {
  const { counts, state, ask } = await server();
  for (const id of [7, 8, 65_535]) {
    t.deepEqual(await ask('web.weft.local', { id }), {
      ...{ id, name: 'web.weft.local', data: ['10.7.0.2'] },
    });
  }
  t.is(state.made, 1);
  // Letters keep their case, other types and views are other questions, and TCP is asked seldom.
  t.is((await ask('WEB.weft.local')).name, 'WEB.weft.local');
  t.deepEqual((await ask('web.weft.local', { type: 'AAAA' })).data, []);
  t.deepEqual((await ask('web.weft.local', { asker: '10.7.0.9' })).data, ['10.9.0.2']);
  t.deepEqual((await ask('web.weft.local', { by: 'tcp' })).data, ['10.7.0.2']);
  await ask('none.weft.local');
  await ask('none.weft.local');
  t.is(state.made, 6);
  t.like(counts, { udp: 8, tcp: 1, answered: 6, noData: 1, noName: 2 });
});

test('what changes is seen by the next question: rows, deaths, views', async (t) => {
  const { zone, dead, views, state, ask } = await server();
  const web = async () => (await ask('web.weft.local')).data;
  t.deepEqual(await web(), ['10.7.0.2']);
  zone.put('1', { network: 'blue', host, names: ['web'], addresses: ['10.7.0.3'] });
  t.deepEqual(await web(), ['10.7.0.3']);
  dead.add(host);
  zone.livesChanged();
  t.deepEqual(await web(), []);
  dead.clear();
  zone.livesChanged();
  t.deepEqual(await web(), ['10.7.0.3']);
  views.set('10.7.0.8', ['red']);
  state.version++;
  t.deepEqual(await web(), ['10.9.0.2']);
});

test('several addresses come in another order each time', async (t) => {
  const { zone, state, ask } = await server();
  const addresses = Array.from({ length: 8 }, (_, index) => `10.7.0.${20 + index}`);
  zone.put('3', { network: 'blue', host, names: ['many'], addresses });
  const orders = new Set<string>();
  for (let time = 0; time < 5; time++) orders.add((await ask('many.weft.local')).data.join());
  t.true(orders.size > 1);
  t.is(state.made, 5);
});

test('no more answers are kept than there is room for, and none to an overlong question', (t) => {
  const cache = new AnswerCache();
  const answer = { bytes: Buffer.alloc(20), counts: [] };
  const question = (index: number): Buffer => Buffer.from(String(index).padStart(20, '.'));
  for (let index = 0; index < 5000; index++) {
    t.is(cache.find(question(index), 'a', 1), undefined);
    cache.keep(question(index), 'a', answer);
    t.true(cache.size <= 1024);
  }
  t.truthy(cache.find(question(4999), 'a', 1));
  t.is(cache.find(question(4999), 'a', 2), undefined);
  cache.keep(Buffer.alloc(513), 'a', answer);
  t.is(cache.size, 0);
  t.is(cache.find(Buffer.alloc(0), 'a', 2), undefined);
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { packageRoot } from '../../src/base/package-root.ts';
import { seededRng } from '../../src/base/rng.ts';
import { asPeerId } from '../../src/base/types.ts';
import { DNS_COUNTERS } from '../../src/dns/counters.ts';
import { RCODE, type Query, type Reply } from '../../src/dns/packet.ts';
import { Resolver } from '../../src/dns/resolver.ts';
import { Zone, type View } from '../../src/dns/zone.ts';

const host = asPeerId('a');
const zone = new Zone(() => true);
zone.setNetwork('blue', ['10.7.0.0/24', 'fd00:7::/64']);
zone.put('1', {
  network: 'blue',
  host,
  names: ['web', 'a.web'],
  addresses: ['10.7.0.2', 'fd00:7::2'],
});
zone.put('2', { network: 'blue', host, names: ['many'], addresses: range(60) });
zone.put('3', { network: 'blue', host, names: ['four'], addresses: ['10.7.0.4'] });
zone.put('4', { network: 'x'.repeat(64), host, names: ['odd'], addresses: ['10.9.0.4'] });

function range(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `10.7.0.${100 + index}`);
}

const resolver = new Resolver({ zone, domain: 'weft.local', ttlSeconds: 1, rng: seededRng(1) });

function verdict(name: string, type = 'A', more: Partial<Query> = {}, view: View = ['blue']) {
  const question = new Uint8Array();
  const query = { id: 1, recursionDesired: true, name, type, class: 'IN', question, ...more };
  return resolver.resolve(query, view);
}

function replyTo(...args: Parameters<typeof verdict>): Reply {
  const found = verdict(...args);
  if (found.kind !== 'reply') throw new Error(`${args[0]} was forwarded`);
  return found.reply;
}

const data = ({ answers = [] }: Reply): unknown[] =>
  answers.map((each) => ('data' in each ? each.data : each));

test('a name has its addresses by type, in whatever case it is asked', (t) => {
  t.deepEqual(data(replyTo('web.weft.local')), ['10.7.0.2']);
  t.deepEqual(data(replyTo('WEB.Blue.Weft.Local', 'AAAA')), ['fd00:7::2']);
  t.deepEqual(data(replyTo('a.web.weft.local')), ['10.7.0.2']);
  const [answer] = replyTo('wEb.weft.local').answers ?? [];
  t.like(answer, { name: 'wEb.weft.local', type: 'A', ttl: 1, class: 'IN' });
  t.deepEqual(data(replyTo('web.weft.local', 'ANY')).sort(), ['10.7.0.2', 'fd00:7::2']);
  t.true(replyTo('web.weft.local').isAuthoritative);
});

test('no data and no name are told apart, both with the SOA of the domain', (t) => {
  const soa = { type: 'SOA', name: 'weft.local', ttl: 1 } as const;
  for (const type of ['MX', 'TXT', 'UNKNOWN_65280', 'HTTPS']) {
    const reply = replyTo('web.weft.local', type);
    t.is(reply.rcode, RCODE.noError, type);
    t.deepEqual(reply.answers, []);
    t.like(reply.authorities?.[0], soa);
  }
  t.is(replyTo('four.weft.local', 'AAAA').rcode, RCODE.noError);
  t.is(replyTo('blue.weft.local').rcode, RCODE.noError, 'names lie below it');
  for (const name of ['none.weft.local', 'web.red.weft.local', 'b.web.weft.local']) {
    const reply = replyTo(name, 'MX');
    t.is(reply.rcode, RCODE.nameError, name);
    t.like(reply.authorities?.[0], soa);
  }
});

test('the domain itself has a SOA and nothing else', (t) => {
  t.is(replyTo('weft.local', 'SOA').answers?.length, 1);
  t.deepEqual(replyTo('Weft.Local', 'A').answers, []);
  t.is(replyTo('weft.local', 'NS').rcode, RCODE.noError);
});

test('several addresses come in another order each time, none is lost', (t) => {
  const orders = Array.from({ length: 20 }, () => data(replyTo('many.weft.local')));
  for (const order of orders) t.deepEqual([...order].sort(), range(60).sort());
  t.true(new Set(orders.map(([first]) => first)).size > 5);
});

test('addresses lead to names, in either case of the suffix; those that are not ours are for others', (t) => {
  const names = ['web.weft.local', 'a.web.weft.local'];
  t.deepEqual(data(replyTo('2.0.7.10.in-addr.arpa', 'PTR')), names);
  t.deepEqual(data(replyTo('2.0.7.10.IN-ADDR.ARPA', 'PTR')), names);
  const v6 = `2.${'0.'.repeat(23)}7.0.0.0.0.0.d.f.ip6.arpa`;
  t.deepEqual(data(replyTo(v6, 'PTR')), names);
  const nobody = replyTo('9.0.7.10.in-addr.arpa', 'PTR');
  t.is(nobody.rcode, RCODE.nameError);
  t.like(nobody.authorities?.[0], { type: 'SOA', name: '0.7.10.in-addr.arpa' });
  t.is(replyTo('2.0.7.10.in-addr.arpa', 'A').rcode, RCODE.noError);
  for (const name of ['8.8.8.8.in-addr.arpa', '7.10.in-addr.arpa', 'x.0.7.10.in-addr.arpa']) {
    t.is(verdict(name, 'PTR').kind, 'forward', name);
  }
  t.is(verdict('2.0.7.10.in-addr.arpa', 'PTR', {}, []).kind, 'forward', 'another network');
});

test('a name that DNS could not carry is not led to', (t) => {
  t.deepEqual(data(replyTo('4.0.7.10.in-addr.arpa', 'PTR', {}, 'all')), ['four.blue.weft.local']);
  const found = verdict('4.0.9.10.in-addr.arpa', 'PTR', {}, 'all');
  t.is(found.kind === 'reply' && found.reply.answers?.length, 0, 'a label of 64 letters');
});

test('other domains are for others, other classes, transfers and EDNS versions are refused', (t) => {
  for (const name of ['example.com', 'xweft.local', 'local', '.', 'web']) {
    t.is(verdict(name).kind, 'forward', name);
  }
  t.is(replyTo('web.weft.local', 'A', { class: 'CH' }).rcode, RCODE.refused);
  t.is(replyTo('weft.local', 'AXFR').rcode, RCODE.refused);
  t.is(replyTo('weft.local', 'IXFR').rcode, RCODE.refused);
  const edns = { udpBytes: 1232, version: 1 };
  t.is(replyTo('web.weft.local', 'A', { edns }).rcode, RCODE.badVersion);
});

test('docs/operations.md explains every counter', (t) => {
  const text = readFileSync(join(packageRoot, 'docs/operations.md'), 'utf8');
  for (const name of DNS_COUNTERS) t.true(text.includes(`\`${name}\``), name);
});

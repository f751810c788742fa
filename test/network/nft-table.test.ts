import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { packageRoot } from '../../src/base/package-root.ts';
import {
  edgeTable,
  readOpened,
  replaceTable,
  type EdgeNetwork,
  type EdgeState,
} from '../../src/network/nft-table.ts';
import type { NftObject } from '../../src/os/nft.ts';

const BLUE: EdgeNetwork = {
  ...{ bridge: 'weft-42', edge: 'routed', gateways: ['10.7.0.1/24'] },
  published: [
    {
      addresses: ['10.7.0.10'],
      ports: [
        { protocol: 'tcp', hostPort: 8080, port: 80 },
        { protocol: 'udp', hostAddress: '192.0.2.1', hostPort: 53, port: 5353 },
      ],
    },
  ],
};
const DARK: EdgeNetwork = {
  ...{ bridge: 'weft-43', edge: 'internal', gateways: ['fd00:8::1/64'], published: [] },
};
const WIRE: EdgeNetwork = { bridge: 'weft-44', gateways: [], published: [] };
const STATE: EdgeState = {
  networks: [BLUE, DARK, WIRE],
  opened: { 4: ['eth1', 'eth0'], 6: [] },
};

const chainOf = (objects: readonly NftObject[], name: string): readonly string[] =>
  objects
    .map(({ rule }) => rule as { chain: string; expr: unknown } | undefined)
    .filter((rule) => rule?.chain === name)
    .map((rule) => JSON.stringify(rule?.expr));

test('the table of a routed, an internal and a plain network is the golden one', (t) => {
  const path = join(packageRoot, 'test/network/golden/edge-table.json');
  t.deepEqual(edgeTable(STATE), JSON.parse(readFileSync(path, 'utf8')));
});

test('the same state makes the same table, whatever the order of what was opened', (t) => {
  const other = edgeTable({ ...STATE, opened: { 4: ['eth0', 'eth1'], 6: [] } });
  t.deepEqual(edgeTable(STATE), other);
});

test('an internal network is masqueraded nowhere', (t) => {
  const rules = chainOf(edgeTable({ ...STATE, networks: [DARK] }), 'postrouting');
  t.is(rules.length, 1, 'what is left is the host itself by 127.0.0.1');
});

test('a port at an address of one family is published in that family alone', (t) => {
  const ports = [{ protocol: 'tcp' as const, hostAddress: '2001:db8::1', hostPort: 80, port: 80 }];
  const addresses = ['10.7.0.10', 'fd00:7::10'];
  const network = { ...BLUE, published: [{ addresses, ports }] };
  const rules = chainOf(edgeTable({ ...STATE, networks: [network] }), 'prerouting');
  t.is(rules.length, 1);
  t.regex(rules[0] ?? '', /"addr":"fd00:7::10"/);
});

test('a table is replaced in one transaction that needs none to be there', (t) => {
  const commands = replaceTable(edgeTable(STATE));
  t.deepEqual(
    commands.slice(0, 3).map((command) => Object.keys(command)[0]),
    ['add', 'delete', 'add'],
  );
});

test('what an earlier daemon opened is read from its table', (t) => {
  t.deepEqual(readOpened(edgeTable(STATE)), { 4: ['eth0', 'eth1'], 6: [] });
  t.deepEqual(readOpened([]), { 4: [], 6: [] });
});

test("a host on a routed network answers at its own address, by its own interface and that network's alone", (t) => {
  const exposed = { ifname: 'weft-h42', addresses: ['10.7.0.100/24', 'fd00:7::64/64'] };
  const objects = edgeTable({ ...STATE, networks: [{ ...BLUE, exposed }, DARK] });
  const bare = edgeTable({ ...STATE, networks: [BLUE, DARK] });
  const added = (name: string): readonly string[] => {
    const known = chainOf(bare, name);
    return chainOf(objects, name).filter((rule) => !known.includes(rule));
  };
  const [first = '', ...others] = added('input');
  t.regex(first, /"right":"weft-\*".*"!=".*"weft-42".*"!=".*"weft-h42".*10\.7\.0\.100.*"drop"/);
  t.regex(others.join(), /fd00:7::64/);
  t.is(others.length, 1);
  // A published port is asked for elsewhere; the rules for it come behind.
  t.deepEqual(added('prerouting'), chainOf(objects, 'prerouting').slice(0, 1));
  t.regex(added('prerouting').join(), /"iifname".*"weft-h\*".*"accept"/);
  for (const way of ['iifname', 'oifname']) {
    t.regex(added('forward').join(), new RegExp(`"${way}".*"weft-h\\*".*"drop"`));
  }
  t.deepEqual(added('postrouting'), []);
});

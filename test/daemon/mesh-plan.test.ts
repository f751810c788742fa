import fc from 'fast-check';
import test from 'ava';
import { asMac, asPeerId, asVni } from '../../src/base/types.ts';
import { Directory } from '../../src/daemon/directory.ts';
import { planRepair } from '../../src/daemon/mesh-plan.ts';
import type { NetworkDefinition } from '../../src/network/network.ts';
import { memoryRows } from '../fakes/memory-rows.ts';
import { check } from '../fakes/property.ts';

const id = (letter: string): string => letter.repeat(32);

const network = (letter: string, name: string, more: Partial<NetworkDefinition> = {}) => ({
  ...{ id: id(letter), name, vni: asVni(7), subnet: '10.7.0.0/24', mtu: 1450, encap: 'vxlan' },
  ...{
    createdBy: asPeerId(id(letter)),
    createdAt: `2026-01-01T00:00:0${letter.charCodeAt(0) % 10}Z`,
  },
  ...more,
});

interface Attached {
  readonly endpoint: string;
  readonly in: string;
  readonly address: string;
}

/** Rows reach hosts in any order. */
function planOf(networks: readonly NetworkDefinition[], attached: readonly Attached[]) {
  const tables = {
    networks: memoryRows<never>(),
    endpoints: memoryRows<never>(),
    vteps: memoryRows<never>(),
    uses: memoryRows<never>(),
  };
  const directory = new Directory(asPeerId('a'.repeat(32)), tables);
  for (const { id: key, ...record } of networks) tables.networks.put(key, record as never);
  for (const { endpoint, in: letter, address } of attached) {
    const row = {
      ...{ network: id(letter), host: asPeerId(id(letter)), mac: asMac(1), ifname: 'eth0' },
      ...{ address: `${address}/24`, sandbox: { path: '/x', inode: '1' } },
    };
    tables.endpoints.put(endpoint, row as never);
  }
  return planRepair({ directory, nameOf: (host) => host[0] ?? '', valueOf: () => undefined });
}

test('nothing to repair is no plan', (t) => {
  t.is(planOf([network('a', 'blue')], [{ endpoint: 'e1', in: 'a', address: '10.7.0.2' }]).plan, '');
});

test('endpoints of the younger network keep what is free, inside and not reserved', (t) => {
  const older = network('a', 'blue', {
    addressing: {
      founders: [asPeerId(id('a'))],
      leaseSeconds: 300,
      gateway: '10.7.0.1',
      reserved: ['10.7.0.9'],
    },
  });
  const plan = planOf(
    [network('b', 'blue', { subnet: '10.0.0.0/8' }), older],
    [
      { endpoint: 'e0', in: 'a', address: '10.7.0.2' },
      { endpoint: 'e1', in: 'b', address: '10.7.0.1' },
      { endpoint: 'e2', in: 'b', address: '10.7.0.2' },
      { endpoint: 'e3', in: 'b', address: '10.7.0.9' },
      { endpoint: 'e4', in: 'b', address: '10.8.0.4' },
      { endpoint: 'e5', in: 'b', address: '10.7.0.5' },
    ],
  );
  t.deepEqual(
    plan.endpoints.map(({ endpoint, keeps, to }) => [endpoint, keeps, to]),
    [
      ['e1', false, 'blue'],
      ['e2', false, 'blue'],
      ['e3', false, 'blue'],
      ['e4', false, 'blue'],
      ['e5', true, 'blue'],
    ],
  );
  t.deepEqual(
    plan.merges.map(({ network: name, into }) => [name, into]),
    [['blue~bbbbbbbb', 'blue']],
  );
});

test('of two names on one VNI the younger gets another; an address held twice is kept once', (t) => {
  const plan = planOf(
    [network('a', 'left'), network('b', 'right'), network('c', 'far', { vni: asVni(9) })],
    [
      { endpoint: 'e1', in: 'c', address: '10.7.0.2' },
      { endpoint: 'e2', in: 'c', address: '10.7.0.2' },
    ],
  );
  t.like(plan.vnis[0], { network: 'right', from: 7, owner: 'left' });
  t.is(plan.vnis.length, 1);
  t.deepEqual(
    plan.endpoints.map(({ endpoint, keeps }) => [endpoint, keeps]),
    [['e2', false]],
  );
});

test('whatever the order in which rows come, the plan is the same, and no address is kept twice', (t) => {
  const place = fc.record({
    in: fc.constantFrom('a', 'b', 'c'),
    address: fc.integer({ min: 1, max: 9 }).map((last) => `10.7.0.${last}`),
  });
  const networks = [network('a', 'blue'), network('b', 'blue'), network('c', 'blue')];
  check(
    fc.property(
      fc.array(place, { maxLength: 12 }).chain((places) => {
        const attached = places.map((each, index) => ({ ...each, endpoint: `e${index + 10}` }));
        return fc.tuple(
          fc.constant(attached),
          fc.shuffledSubarray(attached, { minLength: attached.length }),
          fc.shuffledSubarray(networks, { minLength: 3 }),
        );
      }),
      ([attached, shuffled, order]) => {
        const [one, other] = [planOf(networks, attached), planOf(order, shuffled)];
        t.deepEqual(one, other);
        const staying = attached.filter((each) => each.in === 'a').map(({ address }) => address);
        const kept = one.endpoints.filter(({ keeps }) => keeps).map(({ address }) => address);
        t.is(new Set(kept).size, kept.length);
        t.true(kept.every((address) => !staying.includes(address)));
      },
    ),
    200,
  );
});

import test from 'ava';
import { Edges } from '../../src/network/edge.ts';
import type { EdgeNetwork } from '../../src/network/nft-table.ts';
import { CommandFailed } from '../../src/os/exec.ts';
import { FakeKernel } from '../fakes/fake-kernel.ts';
import { FakeNft } from '../fakes/fake-nft.ts';

const BLUE: EdgeNetwork = {
  ...{ bridge: 'weft-42', edge: 'routed', gateways: ['10.7.0.1/24'], published: [] },
};

function host() {
  const kernel = new FakeKernel();
  const nft = new FakeNft();
  for (const name of ['eth0', 'eth1', 'weft-42']) kernel.addLink(name);
  kernel.addRoute({ destination: 'default', device: 'eth0' });
  kernel.addRoute({ destination: '192.0.2.0/24', device: 'eth1' });
  kernel.addRoute({ destination: '10.7.0.0/24', device: 'weft-42' });
  const make = (): Edges => new Edges({ ip: kernel, sysctl: kernel, nft });
  return { kernel, nft, make, edges: make() };
}

test('what leads out forwards while a routed network is carried, and what forwarded before still does', async (t) => {
  const { kernel, nft, edges } = host();
  await kernel.setForwarding('eth1', 4, true);
  t.deepEqual(await edges.ensure([BLUE]), []);
  t.true(await kernel.isForwarding('eth0', 4));
  t.true(nft.tables.has('weft'));
  t.deepEqual(await edges.ensure([]), []);
  t.false(await kernel.isForwarding('eth0', 4));
  t.true(await kernel.isForwarding('eth1', 4));
  t.false(nft.tables.has('weft'));
});

test('a host that is on a plain wire passes nothing on from it, and tracks no connections for that', async (t) => {
  const { kernel, nft, edges } = host();
  const exposed = { ifname: 'weft-h43', addresses: ['10.9.0.7/24'] };
  const wire: EdgeNetwork = { bridge: 'weft-43', gateways: [], published: [], exposed };
  t.deepEqual(await edges.ensure([wire]), []);
  const text = JSON.stringify(nft.tables.get('weft'));
  for (const way of ['iifname', 'oifname']) {
    t.true(text.includes(`"left":{"meta":{"key":"${way}"}},"right":"weft-h*"`), text);
  }
  t.false(text.includes('nat'));
  t.false(await kernel.isForwarding('eth0', 4));
  t.deepEqual(await edges.ensure([BLUE, wire]), []);
  t.true(JSON.stringify(nft.tables.get('weft')).includes('"weft-h*"'));
  t.deepEqual(await edges.ensure([{ bridge: wire.bridge, gateways: [], published: [] }]), []);
  t.false(nft.tables.has('weft'));
  // Without nft(8) the interface's own setting is the guard, of IPv4; a gateway can't do without.
  const missing = () => Promise.reject(new CommandFailed('nft is not installed'));
  const broken = new Edges({ ip: kernel, sysctl: kernel, nft: { list: missing, apply: missing } });
  t.deepEqual(await broken.ensure([wire]), []);
  const dual: EdgeNetwork = {
    ...wire,
    exposed: { ...exposed, addresses: ['10.9.0.7/24', 'fd00:9::7/64'] },
  };
  await t.throwsAsync(broken.ensure([dual]), { code: 'E_COMMAND_FAILED' });
  await t.throwsAsync(broken.ensure([BLUE]), { code: 'E_COMMAND_FAILED' });
});

test('nothing is done twice', async (t) => {
  const { nft, edges } = host();
  await edges.ensure([BLUE]);
  const { transactions } = nft;
  await edges.ensure([BLUE]);
  t.is(nft.transactions, transactions);
});

test('a table that somebody flushed or changed is made again, and told', async (t) => {
  const { nft, edges } = host();
  await edges.ensure([BLUE]);
  const good = structuredClone(nft.tables.get('weft'));
  nft.tables.clear();
  t.deepEqual(await edges.ensure([BLUE]), ['Table inet weft of nftables was gone; made again.']);
  nft.tables.get('weft')?.pop();
  t.deepEqual(await edges.ensure([BLUE]), ['Table inet weft of nftables was changed; made again.']);
  t.deepEqual(nft.tables.get('weft'), good);
});

test('what differs from what was made is told without a change', async (t) => {
  const { nft, edges } = host();
  t.deepEqual(await edges.examine(), []);
  await edges.ensure([BLUE]);
  t.deepEqual(await edges.examine(), []);
  nft.tables.get('weft')?.pop();
  t.deepEqual(await edges.examine(), ['table inet weft of nftables was changed']);
  nft.tables.clear();
  t.deepEqual(await edges.examine(), ['table inet weft of nftables is gone']);
  t.is(nft.tables.size, 0);
});

test('the next daemon knows what the last one opened', async (t) => {
  const { kernel, nft, edges, make } = host();
  await edges.ensure([BLUE]);
  const heir = make();
  t.deepEqual(await heir.ensure([BLUE]), []);
  await heir.ensure([]);
  t.false(await kernel.isForwarding('eth0', 4));
  await edges.ensure([BLUE]);
  await make().ensure([]);
  t.false(nft.tables.has('weft'));
});

test('a host that carries no such network needs no nft', async (t) => {
  const { nft, edges } = host();
  nft.failWith = new CommandFailed('nft is not installed');
  t.deepEqual(await edges.ensure([{ bridge: 'weft-1', gateways: [], published: [] }]), []);
  await t.throwsAsync(edges.ensure([BLUE]), { code: 'E_COMMAND_FAILED' });
  nft.failWith = undefined;
  t.deepEqual(await edges.ensure([BLUE]), []);
});

test('an internal network opens nothing', async (t) => {
  const { kernel, edges } = host();
  await edges.ensure([{ ...BLUE, edge: 'internal' }]);
  t.false(await kernel.isForwarding('eth0', 4));
});

import test from 'ava';
import { auditAddresses } from '../../src/daemon/ipam-audit.ts';
import { bridgeName, formatMark, hostEndName } from '../../src/network/names.ts';
import { addressesOf, type Endpoint } from '../../src/network/endpoint.ts';
import { FakeKernel } from '../fakes/fake-kernel.ts';
import { AddressWorld, type AddressHost } from './address-hosts.ts';

async function audited(subnet6?: string) {
  const world = new AddressWorld('a', 'b');
  const gateways = { gateway: '10.7.0.1', ...(subnet6 && { gateway6: 'fd00:7::1' }) };
  const blue = world.network('blue', '10.7.0.0/24', gateways, subnet6);
  await world.pass(1_000, 10);
  const [a, b] = world.hosts as [AddressHost, AddressHost];
  const kernel = new FakeKernel();
  const own = await a.attach(blue);
  plug(kernel, own);
  const audit = async () => {
    const report = await auditAddresses({
      ...{ self: a.id, directory: a.directory, addresses: a.addresses, ip: kernel, netns: kernel },
      nameOf: (id) => world.hosts.find((host) => host.id === id)?.name ?? id,
      isAlive: (id) => world.hosts.some((host) => host.id === id && !host.isAway),
    });
    return { ...report, codes: report.findings.map(({ code }) => code) };
  };
  return { world, blue, a, b, kernel, own, audit };
}

/** The interface that an endpoint should have. */
function plug(kernel: FakeKernel, endpoint: Endpoint): void {
  const { id, network, host, ifname, sandbox } = endpoint;
  const addresses = addressesOf(endpoint).map((each) => {
    const [bare = '', prefix] = each.split('/');
    return { address: bare, prefixLength: Number(prefix), scope: 'global' };
  });
  kernel.addNamespace(sandbox.path);
  kernel.addLink(
    ifname,
    {
      kind: 'veth',
      addresses,
    },
    sandbox.path,
  );
  const alias = formatMark({ host, network, endpoint: id });
  kernel.addLink(hostEndName(id), { kind: 'veth', master: bridgeName(7 as never), alias });
}

test('where all agree there is nothing to tell', async (t) => {
  const { audit } = await audited();
  t.deepEqual(await audit(), { findings: [], isClean: true, codes: [] });
});

test('of two subnets each is looked at by itself', async (t) => {
  const { a, b, own, kernel, audit } = await audited('fd00:7::/64');
  t.deepEqual(await audit(), { findings: [], isClean: true, codes: [] });
  const row = { ...own, id: 'f'.repeat(32), host: b.id };
  a.directory.putEndpoint({ ...row, address: '10.7.0.200/24', address6: own.address6 ?? '' });
  const [first] = kernel.find('eth0', own.sandbox.path)?.addresses ?? [];
  kernel.changeLink('eth0', { addresses: first ? [first] : [] }, own.sandbox.path);
  const { codes, findings } = await audit();
  t.true(codes.includes('interface-address'));
  const twice = findings.filter(({ code }) => code === 'address-twice');
  t.deepEqual(twice.length, 1, JSON.stringify(findings));
  t.regex(twice[0]?.sentence ?? '', /^Address fd00:7::[0-9a-f:]+ of network blue is held by/);
  a.directory.putEndpoint({ ...row, address: '10.7.0.200/24', address6: 'fd00:7::1/64' });
  t.true((await audit()).codes.includes('address-reserved'));
  a.directory.putEndpoint({ ...row, address: '10.7.0.200/24', address6: 'fd00:8::1/64' });
  t.true((await audit()).codes.includes('address-outside'));
});

test('an endpoint without interface, with another address, on another bridge', async (t) => {
  const { kernel, own, audit } = await audited();
  const { path } = own.sandbox;
  kernel.changeLink(
    'eth0',
    { addresses: [{ address: '10.7.0.77', prefixLength: 24, scope: 'global' }] },
    path,
  );
  kernel.changeLink(hostEndName(own.id), { master: 'docker0' });
  const { codes, findings, isClean } = await audit();
  t.deepEqual(codes, ['interface-address', 'interface-bridge']);
  t.regex(findings[0]?.sentence ?? '', /10\.7\.0\.77\/24/);
  t.false(isClean);
  kernel.removeLink('eth0', path);
  t.deepEqual((await audit()).codes, ['interface-missing']);
});

test('an address of the network that nobody gave to the interface, beside its own', async (t) => {
  const { kernel, own, audit } = await audited();
  const { path } = own.sandbox;
  const [given] = kernel.find('eth0', path)?.addresses ?? [];
  if (given === undefined) return t.fail('the endpoint has no address');
  const add = (...addresses: readonly string[]): void => {
    const more = addresses.map((address) => ({ address, prefixLength: 24, scope: 'global' }));
    kernel.changeLink('eth0', { addresses: [given, ...more] }, path);
  };
  add('192.168.9.9');
  t.deepEqual((await audit()).codes, []);
  add('192.168.9.9', '10.7.0.99');
  const { codes, findings, isClean } = await audit();
  t.deepEqual(codes, ['interface-address-extra']);
  t.false(isClean);
  t.regex(
    findings[0]?.sentence ?? '',
    /has 10\.7\.0\.99\/24 on eth0 .* may give to another endpoint/,
  );
});

test('interfaces that no row speaks of', async (t) => {
  const { a, kernel, audit } = await audited();
  const alias = formatMark({ host: a.id, network: 'blue', endpoint: 'e'.repeat(16) });
  kernel.addLink('wveeeeeeeeeeee', { kind: 'veth', alias });
  kernel.addLink('weft-9', { kind: 'bridge', alias: formatMark({ host: a.id, network: 'red' }) });
  t.deepEqual((await audit()).codes, ['interface-unknown', 'interface-unknown']);
});

test('addresses held twice, outside, reserved, or owned by another host', async (t) => {
  const { a, b, own, audit } = await audited();
  const place = { ...own, host: b.id };
  const rows = [own.address, '10.9.0.2/24', '10.7.0.1/24'];
  rows.forEach((address, index) =>
    a.directory.putEndpoint({ ...place, address, id: `f${index}`.padEnd(16, '0') }),
  );
  const { codes } = await audit();
  for (const code of [
    'address-twice',
    'address-not-owned',
    'address-outside',
    'address-reserved',
  ]) {
    t.true((codes as string[]).includes(code), codes.join(' '));
  }
});

test('space of hosts that are away is a note, and no disagreement', async (t) => {
  const { world, b, audit } = await audited();
  world.setAway(b, true);
  const { codes, isClean } = await audit();
  t.deepEqual(codes, ['space-unreachable']);
  t.true(isClean);
});

import test from 'ava';
import { asMac, asPeerId, asVni } from '../../src/base/types.ts';
import { describeConflicts, displacedNetworks } from '../../src/daemon/conflicts.ts';
import { Directory } from '../../src/daemon/directory.ts';
import type { Endpoint } from '../../src/network/endpoint.ts';
import type { NetworkDefinition } from '../../src/network/network.ts';
import { memoryRows } from '../fakes/memory-rows.ts';

const emptyDirectory = (): Directory =>
  new Directory(asPeerId('a'.repeat(32)), {
    networks: memoryRows(),
    endpoints: memoryRows(),
    vteps: memoryRows(),
    uses: memoryRows(),
  });

const network = (name: string, vni: number, createdAt: string): NetworkDefinition => ({
  ...{ name, createdAt, vni: asVni(vni), id: name.charCodeAt(0).toString(16).padStart(32, '0') },
  ...{ subnet: '10.7.0.0/24', mtu: 1450, encap: 'vxlan', createdBy: asPeerId('a') },
});

const endpoint = (id: string, address: string, host: string): Endpoint => ({
  ...{ id, address, network: 'blue', host: asPeerId(host.repeat(32)) },
  ...{
    mac: asMac(0x020000000001),
    ifname: 'eth0',
    sandbox: { path: '/run/netns/x', inode: '1:2' },
  },
});

test('of two subnets, an address held twice and one outside are told by themselves', (t) => {
  const directory = emptyDirectory();
  directory.putNetwork({ ...network('blue', 7, '2026-01-01T00:00:00Z'), subnet6: 'fd00:7::/64' });
  directory.putEndpoint({ ...endpoint('e1', '10.7.0.2/24', 'a'), address6: 'fd00:7::2/64' });
  directory.putEndpoint({ ...endpoint('e2', '10.7.0.3/24', 'b'), address6: 'fd00:7::2/64' });
  directory.putEndpoint({ ...endpoint('e3', '10.7.0.4/24', 'b'), address6: 'fd00:8::4/64' });
  const [twice = '', outside = '', ...others] = describeConflicts(
    directory,
    (host) => host[0] ?? '',
  );
  t.regex(
    twice,
    /^Address fd00:7::2\/64 of network blue is held twice, by endpoint e1 on a and e2 on b;/,
  );
  t.regex(outside, /^Endpoint e3 on b has address fd00:8::4\/64, which is outside fd00:7::\/64,/);
  t.deepEqual(others, []);
});

test('the older of two networks of one name keeps it; the other is shown by its id and kept apart', (t) => {
  const directory = emptyDirectory();
  const moved: string[] = [];
  directory.onEndpoint(({ previous, value }) =>
    moved.push(`${previous?.network ?? ''} -> ${value?.network ?? ''}`),
  );
  const young = { ...network('blue', 7, '2026-01-02T00:00:00Z'), id: 'b'.repeat(32) };
  directory.putNetwork(young);
  directory.putEndpoint(endpoint('e1', '10.7.0.2/24', 'b'));
  directory.putNetwork({ ...network('blue', 7, '2026-01-01T00:00:00Z'), id: 'a'.repeat(32) });
  t.deepEqual(
    directory.networks().map(({ name, id }) => [name, id[0]]),
    [
      ['blue', 'a'],
      ['blue~bbbbbbbb', 'b'],
    ],
  );
  t.deepEqual(moved, [' -> blue', 'blue -> blue~bbbbbbbb']);
  t.is(directory.endpoints('blue').length, 0);
  t.is(directory.endpoint('e1')?.network, 'blue~bbbbbbbb');
  t.deepEqual(directory.rivals('blue'), ['blue~bbbbbbbb']);
  t.is(describeConflicts(directory, String).length, 1);

  // Merged, it is shown as long as an endpoint is left there.
  directory.putNetwork({ ...young, name: 'blue~bbbbbbbb', mergedInto: 'a'.repeat(32) });
  t.is(directory.networks().length, 2);
  t.deepEqual(describeConflicts(directory, String), []);
  directory.putEndpoint({ ...endpoint('e1', '10.7.0.2/24', 'b'), network: 'blue' });
  t.deepEqual(
    directory.networks().map(({ name }) => name),
    ['blue'],
  );
  t.is(directory.mergedNetworks().length, 1);
});

test('the older of two networks keeps the VNI; equal ages fall to the lower id', (t) => {
  const old = network('old', 7, '2026-01-01T00:00:00Z');
  const young = network('young', 7, '2026-01-02T00:00:00Z');
  const twin = network('a', 7, '2026-01-01T00:00:00Z');
  t.deepEqual([...displacedNetworks([young, old]).keys()], ['young']);
  t.is(displacedNetworks([young, old, twin]).get('old')?.name, 'a');
  t.is(displacedNetworks([old, network('other', 8, old.createdAt)]).size, 0);
});

test('conflicts are told in sentences that name both sides', (t) => {
  const directory = emptyDirectory();
  directory.putNetwork(network('blue', 7, '2026-01-01T00:00:00Z'));
  directory.putNetwork(network('red', 7, '2026-01-02T00:00:00Z'));
  directory.putEndpoint(endpoint('e1', '10.7.0.2/24', 'a'));
  directory.putEndpoint(endpoint('e2', '10.7.0.2/24', 'b'));
  directory.putEndpoint(endpoint('e3', '10.7.0.3/24', 'b'));
  directory.putEndpoint(endpoint('e4', '10.9.0.3/24', 'b'));
  const sentences = describeConflicts(directory, (host) => `host-${host[0] ?? ''}`);
  t.is(sentences.length, 3);
  t.regex(sentences[0] ?? '', /red .* VNI 7 .* blue/);
  t.regex(sentences[1] ?? '', /10\.7\.0\.2\/24 .* e1 on host-a and e2 on host-b/);
  t.regex(sentences[2] ?? '', /e4 on host-b .* 10\.9\.0\.3\/24.* outside 10\.7\.0\.0\/24/);
});

test('a mesh without conflicts has no sentences', (t) => {
  const directory = emptyDirectory();
  directory.putNetwork(network('blue', 7, '2026-01-01T00:00:00Z'));
  directory.putEndpoint(endpoint('e1', '10.7.0.2/24', 'a'));
  t.deepEqual(
    describeConflicts(directory, () => ''),
    [],
  );
});

test('removing an endpoint or VTEP takes just that row', (t) => {
  const directory = emptyDirectory();
  directory.putEndpoint(endpoint('e1', '10.7.0.2/24', 'a'));
  directory.putEndpoint(endpoint('e2', '10.7.0.3/24', 'b'));
  directory.putVtep({ network: 'blue', address: '192.0.2.9', port: 4789 });
  directory.putVtep({ network: 'red', address: '192.0.2.9', port: 4789 });
  directory.removeEndpoint({ host: asPeerId('a'.repeat(32)), id: 'e1' });
  directory.removeVtep('blue', '192.0.2.9');
  t.deepEqual(
    directory.endpointsOf(asPeerId('b'.repeat(32))).map(({ id }) => id),
    ['e2'],
  );
  t.deepEqual(
    directory.vteps().map(({ network: name }) => name),
    ['red'],
  );
});

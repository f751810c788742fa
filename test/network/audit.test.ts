import test from 'ava';
import { asPeerId, asVni } from '../../src/base/types.ts';
import { attachmentOf, endpointIn, HOST, host, SPEC } from './fixture.ts';

/** A host with a TAP device and two endpoints, as a daemon would leave it. */
async function settled() {
  const made = await host();
  const { kernel, bridges, sandboxes, endpoint } = made;
  kernel.addLink('wtap-42', { kind: 'tun' });
  await bridges.ensurePort(SPEC, 'wtap-42');
  const second = endpointIn(kernel.addNamespace('/run/netns/y'), 2);
  await sandboxes.attach(attachmentOf(endpoint));
  await sandboxes.attach(attachmentOf(second));
  const desired = [{ ...SPEC, device: 'wtap-42', endpoints: [endpoint, second] }];
  return { ...made, second, desired };
}

const nameOf = ({ id }: { readonly id: string }) => `wv${id.slice(0, 12)}`;

test('a host in order is looked at once and left alone', async (t) => {
  const { kernel, auditor, desired } = await settled();
  kernel.calls = 0;
  t.deepEqual(await auditor.audit(desired), { changes: [], lost: [] });
  t.is(kernel.calls, 1);
});

test('a deleted bridge comes back with all its ports', async (t) => {
  const { kernel, auditor, desired, endpoint, second } = await settled();
  kernel.removeLink('weft-42');
  const { changes, lost } = await auditor.audit(desired);
  t.deepEqual(changes, [
    'Bridge weft-42 of network blue was missing; made.',
    'wtap-42: bridge none instead of weft-42; repaired.',
    `${nameOf(endpoint)}: bridge none instead of weft-42; repaired.`,
    `${nameOf(second)}: bridge none instead of weft-42; repaired.`,
  ]);
  t.deepEqual(lost, []);
  t.deepEqual((await auditor.audit(desired)).changes, []);
});

test('a deleted interface comes back', async (t) => {
  const { kernel, auditor, desired, second } = await settled();
  const good = kernel.snapshot();
  kernel.removeLink(nameOf(second));
  t.deepEqual((await auditor.audit(desired)).changes, [
    `Endpoint ${second.id} had no interface; made eth0 in /run/netns/y.`,
  ]);
  t.deepEqual(kernel.snapshot(), good);
});

test('a changed MTU is set right on every part', async (t) => {
  const { kernel, auditor, desired, endpoint } = await settled();
  const good = kernel.snapshot();
  kernel.changeLink('weft-42', { mtu: 1500 });
  kernel.changeLink('wtap-42', { mtu: 1400 });
  kernel.changeLink(nameOf(endpoint), { mtu: 9000 });
  kernel.changeLink('eth0', { mtu: 9000 }, '/run/netns/x');
  t.is((await auditor.audit(desired)).changes.length, 4);
  t.deepEqual(kernel.snapshot(), good);
});

test('what was changed inside a sandbox is found by the looks that are allowed, and set right', async (t) => {
  const { kernel, auditor, desired, endpoint } = await settled();
  const good = kernel.snapshot();
  const inside = '/run/netns/x';
  for (const [harm, what] of [
    [() => kernel.changeLink('eth0', { mtu: 1500 }, inside), 'MTU 1500 instead of 1450'],
    [() => kernel.changeLink('eth0', { isUp: false }, inside), 'down instead of up'],
    [
      () => kernel.changeLink('eth0', { mac: '02:00:00:00:00:99' }, inside),
      'MAC 02:00:00:00:00:99 instead of 02:00:5e:10:00:01',
    ],
    [() => kernel.changeLink('eth0', { addresses: [] }, inside), `no address ${endpoint.address}`],
    [() => kernel.loseRoute('10.7.0.0/24', inside), 'no route to 10.7.0.0/24'],
  ] as const) {
    harm();
    t.deepEqual((await auditor.audit(desired)).changes, [], 'nobody looked');
    t.deepEqual((await auditor.audit(desired, 2)).changes, [
      `eth0 in /run/netns/x: ${what}; repaired.`,
    ]);
    t.deepEqual(kernel.snapshot(), good);
    t.deepEqual((await auditor.audit(desired, 2)).changes, []);
  }
  t.is(kernel.openSandboxes, 0);
});

test('looks inside go round: each sandbox has its turn before any has a second one', async (t) => {
  const { kernel, auditor, desired } = await settled();
  for (const path of ['/run/netns/x', '/run/netns/y']) {
    kernel.changeLink('eth0', { mtu: 1500 }, path);
  }
  const repaired = async (): Promise<number> => (await auditor.audit(desired, 1)).changes.length;
  t.deepEqual([await repaired(), await repaired(), await repaired()], [1, 1, 0]);
});

test('an endpoint whose sandbox is gone, or whose name is taken, is lost; the others are not', async (t) => {
  const { kernel, auditor, desired, endpoint, second } = await settled();
  kernel.removeLink('weft-42');
  kernel.removeNamespace('/run/netns/x');
  const { lost } = await auditor.audit(desired);
  t.deepEqual(lost, [{ endpoint, reason: '/run/netns/x is gone' }]);
  t.is(kernel.find(nameOf(second))?.master, 'weft-42');
  kernel.removeLink(nameOf(second));
  kernel.addLink('eth0', { kind: 'dummy' }, '/run/netns/y');
  const again = await auditor.audit(desired);
  t.deepEqual(
    again.lost.map((each) => each.endpoint.id),
    [endpoint.id, second.id],
  );
  t.regex(again.lost[1]?.reason ?? '', /^eth0 in \/run\/netns\/y is taken by a dummy/);
});

test('what this host made and nobody wants is removed; what others made stays', async (t) => {
  const { kernel, auditor, endpoint, second } = await settled();
  kernel.addLink('weft-7', { kind: 'bridge', alias: `weft:${asPeerId('f'.repeat(32))}:red` });
  kernel.addLink('br0', { kind: 'bridge', alias: 'uplink' });
  kernel.addLink('wv000000000000', { alias: 'by hand' });
  const { changes } = await auditor.audit([{ ...SPEC, endpoints: [second] }]);
  t.deepEqual(changes, [`${nameOf(endpoint)} belongs to no network or endpoint; removed.`]);
  t.is(kernel.find('eth0', '/run/netns/x'), undefined);
  t.is((await auditor.audit([])).changes.length, 2);
  for (const name of ['weft-7', 'br0', 'wv000000000000']) t.truthy(kernel.find(name), name);
});

test('several networks are independent', async (t) => {
  const { kernel, auditor, desired } = await settled();
  const green = { network: 'green', vni: asVni(43), mtu: 1400, endpoints: [] };
  t.deepEqual((await auditor.audit([...desired, green])).changes, [
    'Bridge weft-43 of network green was missing; made.',
  ]);
  t.like(kernel.find('weft-43'), { mtu: 1400, alias: `weft:${HOST}:green` });
});

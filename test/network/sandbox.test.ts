import test from 'ava';
import type { GatewaySpec } from '../../src/network/gateway.ts';
import { attachmentOf, endpointIn, failAtEachStep, HOST, host } from './fixture.ts';

const INSIDE = '/run/netns/x';

test('attaching makes both ends as asked, with three calls of ip', async (t) => {
  const { kernel, sandboxes, endpoint, attachment } = await host();
  kernel.calls = 0;
  t.deepEqual(await sandboxes.attach(attachment), [
    `Endpoint ${endpoint.id} had no interface; made eth0 in ${INSIDE}.`,
  ]);
  t.is(kernel.calls, 3);
  const name = `wv${endpoint.id.slice(0, 12)}`;
  t.like(kernel.find(name), {
    ...{ master: 'weft-42', mtu: 65_521, isUp: true },
    alias: `weft:${HOST}:blue:${endpoint.id}`,
  });
  t.like(kernel.find('eth0', INSIDE), {
    ...{ mac: '02:00:5e:10:00:01', mtu: 1450, isUp: true },
    addresses: [{ address: '10.7.0.1', prefixLength: 24, scope: 'global' }],
  });
  t.true(await kernel.isIpv6Disabled(name));
  t.is(kernel.openSandboxes, 0);
});

test('attaching what is attached changes nothing', async (t) => {
  const { kernel, sandboxes, attachment } = await host();
  await sandboxes.attach(attachment);
  const before = kernel.snapshot();
  t.deepEqual(await sandboxes.attach(attachment), []);
  t.deepEqual(kernel.snapshot(), before);
});

for (const [addresses, stepCount] of [
  [{ address: '10.7.0.1/24' }, 8],
  [{ address: 'fd00:7::1/64' }, 9],
  [{ address: '10.7.0.1/24', address6: 'fd00:7::1/64' }, 11],
] as const) {
  const what = Object.values(addresses).join(' and ');
  test(`a half-done attach of ${what} leaves nothing, whichever step fails`, async (t) => {
    const { kernel, sandboxes, endpoint } = await host();
    const attachment = attachmentOf({ ...endpoint, ...addresses });
    const before = kernel.snapshot();
    const steps = await failAtEachStep(
      kernel,
      () => sandboxes.attach(attachment),
      (step) => {
        t.deepEqual(kernel.snapshot(), before, `step ${step}`);
        t.is(kernel.openSandboxes, 0);
      },
    );
    t.is(steps, stepCount);
    const inside = kernel.find('eth0', INSIDE)?.addresses ?? [];
    t.deepEqual(
      inside.map((each) => `${each.address}/${each.prefixLength}`),
      Object.values(addresses),
    );
  });
}

test('a taken name tells who has it: a stranger', async (t) => {
  const { kernel, sandboxes, attachment } = await host();
  kernel.addLink(
    'eth0',
    {
      ...{ mac: '02:42:ac:11:00:02', kind: 'veth' },
      addresses: [{ address: '172.17.0.2', prefixLength: 16, scope: 'global' }],
    },
    INSIDE,
  );
  const before = kernel.snapshot();
  await t.throwsAsync(sandboxes.attach(attachment), {
    code: 'E_IFNAME_TAKEN',
    message:
      /^eth0 in \/run\/netns\/x is taken by a veth with MAC 02:42:ac:11:00:02 and address 172\.17\.0\.2\/16;/,
  });
  t.deepEqual(kernel.snapshot(), before);
});

test('a taken name tells who has it: another endpoint', async (t) => {
  const { kernel, sandboxes, endpoint, attachment } = await host();
  await sandboxes.attach(attachment);
  const before = kernel.snapshot();
  const second = { ...endpointIn(endpoint.sandbox, 2), network: 'green' };
  await t.throwsAsync(sandboxes.attach(attachmentOf(second)), {
    code: 'E_IFNAME_TAKEN',
    message: new RegExp(`taken by endpoint ${endpoint.id} of network blue;`),
  });
  t.deepEqual(kernel.snapshot(), before);
  await sandboxes.attach(attachmentOf({ ...second, ifname: 'eth1' }));
  t.truthy(kernel.find('eth1', INSIDE));
});

test('a sandbox that is gone, or another one in its place, is told', async (t) => {
  const { kernel, sandboxes, endpoint, attachment } = await host();
  const swapped = { ...endpoint, sandbox: { path: INSIDE, inode: '4:other' } };
  await t.throwsAsync(sandboxes.attach(attachmentOf(swapped)), { code: 'E_SANDBOX_MISSING' });
  kernel.removeNamespace(INSIDE);
  await t.throwsAsync(sandboxes.attach(attachment), { code: 'E_SANDBOX_MISSING' });
});

test('detaching removes both ends, and twice, and after the sandbox is gone, does nothing', async (t) => {
  const { kernel, sandboxes, endpoint, attachment } = await host();
  const before = kernel.snapshot();
  await sandboxes.attach(attachment);
  t.true(await sandboxes.detach(endpoint));
  t.deepEqual(kernel.snapshot(), before);
  t.false(await sandboxes.detach(endpoint));
  await sandboxes.attach(attachment);
  kernel.removeNamespace(INSIDE);
  t.false(await sandboxes.detach(endpoint));
});

test('attaching again repairs both ends', async (t) => {
  const { kernel, sandboxes, endpoint, attachment } = await host();
  await sandboxes.attach(attachment);
  const good = kernel.snapshot();
  const name = `wv${endpoint.id.slice(0, 12)}`;
  kernel.addLink('br9', { kind: 'bridge' });
  kernel.changeLink(name, { master: 'br9', mtu: 1400 });
  kernel.changeLink(
    'eth0',
    { mtu: 1400, mac: '02:00:00:00:00:09', isUp: false, addresses: [] },
    INSIDE,
  );
  t.deepEqual(await sandboxes.attach(attachment), [
    `${name}: bridge br9 instead of weft-42; repaired.`,
    `${name}: MTU 1400 instead of 65521; repaired.`,
    `eth0 in ${INSIDE}: MTU 1400 instead of 1450; repaired.`,
    `eth0 in ${INSIDE}: MAC 02:00:00:00:00:09 instead of 02:00:5e:10:00:01; repaired.`,
    `eth0 in ${INSIDE}: down instead of up; repaired.`,
    `eth0 in ${INSIDE}: no address 10.7.0.1/24; repaired.`,
  ]);
  kernel.removeLink('br9');
  t.deepEqual(kernel.snapshot(), good);
});

test('of two addresses the one that is missing, or has lost its route, is repaired', async (t) => {
  const { kernel, sandboxes, endpoint } = await host();
  const attachment = attachmentOf({ ...endpoint, address6: 'fd00:7::1/64' });
  await sandboxes.attach(attachment);
  const good = kernel.snapshot();
  const [first] = kernel.find('eth0', INSIDE)?.addresses ?? [];
  kernel.changeLink('eth0', { addresses: first ? [first] : [] }, INSIDE);
  t.deepEqual(await sandboxes.examine(attachment), ['no address fd00:7::1/64']);
  t.deepEqual(await sandboxes.attach(attachment), [
    `eth0 in ${INSIDE}: no address fd00:7::1/64; repaired.`,
  ]);
  t.deepEqual(kernel.snapshot(), good);
  t.deepEqual(await sandboxes.examine(attachment), []);
});

test('a default route of each family leads to the gateway of that family', async (t) => {
  const { kernel, sandboxes, endpoint } = await host();
  const gateways = ['10.7.0.254', 'fd00:7::ff'];
  const addresses = ['10.7.0.254/24', 'fd00:7::ff/64'];
  const gateway: GatewaySpec = { edge: 'routed', addresses };
  const dual = { ...endpoint, address6: 'fd00:7::1/64', routeMetric: 1024 };
  await sandboxes.attach({ ...attachmentOf(dual), gateway });
  const routes = await kernel.routes(INSIDE);
  t.deepEqual(
    routes.flatMap(({ destination, gateway }) => (destination === 'default' ? [gateway] : [])),
    gateways,
  );

  // One family has no route of the other.
  const other = await host();
  const single = attachmentOf({ ...other.endpoint, routeMetric: 1024 });
  await other.sandboxes.attach({ ...single, gateway });
  const alone = await other.kernel.routes(INSIDE);
  t.deepEqual(
    alone.flatMap(({ gateway }) => gateway ?? []),
    ['10.7.0.254'],
  );
});

test('a host end that leads elsewhere is made anew', async (t) => {
  const { kernel, sandboxes, endpoint, attachment } = await host();
  const elsewhere = kernel.addNamespace('/run/netns/old');
  await sandboxes.attach(attachmentOf({ ...endpoint, sandbox: elsewhere }));
  const changes = await sandboxes.attach(attachment);
  t.is(changes.length, 2);
  t.regex(changes[0] ?? '', /led to another place; removed\.$/);
  t.truthy(kernel.find('eth0', INSIDE));
  t.is(kernel.find('eth0', '/run/netns/old'), undefined);
});

test('a look finds what somebody broke, and leaves it so', async (t) => {
  const { kernel, sandboxes, endpoint, attachment } = await host();
  const name = `wv${endpoint.id.slice(0, 12)}`;
  t.deepEqual(await sandboxes.examine(attachment), [`${name} is missing`]);
  await sandboxes.attach(attachment);
  t.deepEqual(await sandboxes.examine(attachment), []);
  kernel.changeLink(name, { mtu: 1400 });
  kernel.changeLink('eth0', { isUp: false, addresses: [] }, INSIDE);
  const before = kernel.snapshot();
  t.deepEqual(await sandboxes.examine(attachment), [
    `${name}: MTU 1400 instead of 65521`,
    'down instead of up',
    'no address 10.7.0.1/24',
  ]);
  t.deepEqual(kernel.snapshot(), before);
  kernel.removeLink('eth0', INSIDE);
  kernel.addLink(name, { kind: 'veth' });
  t.deepEqual(await sandboxes.examine(attachment), ['eth0 is missing']);
  t.is(kernel.openSandboxes, 0);
});

test('what an engine has put into a sandbox gets another MTU by its MAC, once', async (t) => {
  const { kernel, sandboxes, endpoint, attachment } = await host();
  await sandboxes.attach(attachment);
  t.true(await sandboxes.setMtu(endpoint.sandbox, endpoint.mac, 1326));
  t.is(kernel.find('eth0', INSIDE)?.mtu, 1326);
  t.false(await sandboxes.setMtu(endpoint.sandbox, endpoint.mac, 1326));
  t.is(kernel.openSandboxes, 0);
});

test("the host's own interface beside a gateway has addresses without routes, and lacks none", async (t) => {
  const { kernel, sandboxes, endpoint } = await host();
  const own = {
    ...endpoint,
    address6: 'fd00:7::1/64',
    ifname: 'weft-h42',
    sandbox: await kernel.own(),
  };
  const addresses = ['10.7.0.254/24', 'fd00:7::ff/64'];
  const attachment = { ...attachmentOf(own), gateway: { edge: 'internal', addresses } } as const;
  await sandboxes.attach(attachment);
  const isRouted = async (): Promise<boolean> =>
    (await kernel.routes(own.sandbox.path)).some(({ device }) => device === own.ifname);
  t.false(await isRouted());
  t.deepEqual(await sandboxes.examine(attachment), []);
  t.deepEqual(await sandboxes.attach(attachment), [], 'attached again, nothing is repaired');
  // On a plain wire the same would be lacking routes.
  t.is((await sandboxes.examine(attachmentOf(own))).length, 2);

  await kernel.setForwarding(own.ifname, 4, true);
  t.deepEqual(await sandboxes.examine(attachment), [
    `wv${own.id.slice(0, 12)}: ipv4.forwarding of weft-h42 set otherwise`,
  ]);
  await sandboxes.attach(attachment);
  t.false(await kernel.isForwarding(own.ifname, 4));
  t.false(await isRouted());
});

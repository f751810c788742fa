import test from 'ava';
import { asPeerId } from '../../src/base/types.ts';
import { Bridges } from '../../src/network/bridge.ts';
import { bridgeMac } from '../../src/network/names.ts';
import { formatMac } from '../../src/wire/mac.ts';
import { FakeKernel } from '../fakes/fake-kernel.ts';
import { failAtEachStep, HOST, host, SPEC } from './fixture.ts';

function empty() {
  const kernel = new FakeKernel();
  return { kernel, bridges: new Bridges({ ip: kernel, sysctl: kernel, host: HOST }) };
}

test('a missing bridge is made: fixed MAC, MTU, no STP, no snooping, no IPv6, up', async (t) => {
  const { kernel, bridges } = empty();
  t.deepEqual(await bridges.ensureBridge(SPEC), [
    'Bridge weft-42 of network blue was missing; made.',
  ]);
  t.like(kernel.find('weft-42'), {
    kind: 'bridge',
    mac: formatMac(bridgeMac(HOST, SPEC.vni)),
    mtu: 1450,
    isUp: true,
    alias: `weft:${HOST}:blue`,
    bridge: { stp: false, multicastSnooping: false },
  });
  t.true(await kernel.isIpv6Disabled('weft-42'));
});

test('a bridge that fits is left alone', async (t) => {
  const { kernel, bridges } = empty();
  await bridges.ensureBridge(SPEC);
  const steps = kernel.steps;
  t.deepEqual(await bridges.ensureBridge(SPEC), []);
  t.is(kernel.steps, steps);
});

test('whatever is wrong with a bridge is repaired and told', async (t) => {
  const { kernel, bridges } = empty();
  await bridges.ensureBridge(SPEC);
  const good = kernel.snapshot();
  kernel.changeLink('weft-42', {
    ...{ mtu: 1500, mac: '02:00:00:00:00:09', isUp: false },
    bridge: { stp: true, multicastSnooping: true },
  });
  t.deepEqual(await bridges.ensureBridge(SPEC), [
    'Bridge weft-42: STP or multicast snooping on instead of off; repaired.',
    'Bridge weft-42: MTU 1500 instead of 1450; repaired.',
    `Bridge weft-42: MAC 02:00:00:00:00:09 instead of ${formatMac(bridgeMac(HOST, SPEC.vni))}; repaired.`,
    'Bridge weft-42: down instead of up; repaired.',
  ]);
  t.deepEqual(kernel.snapshot(), good);
});

test('another device with the name is replaced; the bridge of a host with a new identity is taken over', async (t) => {
  const { kernel, bridges } = empty();
  kernel.addLink('weft-42', { kind: 'dummy' });
  t.deepEqual(await bridges.ensureBridge(SPEC), ['weft-42 was a dummy and no bridge; replaced.']);
  t.is(kernel.find('weft-42')?.kind, 'bridge');
  const heir = new Bridges({ ip: kernel, sysctl: kernel, host: asPeerId('f'.repeat(32)) });
  t.is((await heir.ensureBridge(SPEC)).length, 2);
  t.is(kernel.find('weft-42')?.alias, `weft:${'f'.repeat(32)}:blue`);
});

test('a bridge that can not be made leaves nothing, whichever step fails', async (t) => {
  const { kernel, bridges } = empty();
  const before = kernel.snapshot();
  const steps = await failAtEachStep(
    kernel,
    () => bridges.ensureBridge(SPEC),
    (step) => t.deepEqual(kernel.snapshot(), before, `step ${step}`),
  );
  t.is(steps, 4);
});

test('a device becomes a port once, and again when somebody takes it off', async (t) => {
  const { kernel, bridges } = await host();
  kernel.addLink('wtap-42', { kind: 'tun' });
  t.deepEqual(await bridges.ensurePort(SPEC, 'wtap-42'), [
    'wtap-42: bridge none instead of weft-42; repaired.',
    'wtap-42: MTU 1500 instead of 65521; repaired.',
    'wtap-42: down instead of up; repaired.',
  ]);
  t.true(await kernel.isIpv6Disabled('wtap-42'));
  t.deepEqual(await bridges.ensurePort(SPEC, 'wtap-42'), []);
  kernel.addLink('br9', { kind: 'bridge' });
  kernel.changeLink('wtap-42', { master: 'br9' });
  t.deepEqual(await bridges.ensurePort(SPEC, 'wtap-42'), [
    'wtap-42: bridge br9 instead of weft-42; repaired.',
  ]);
});

test('a port that does not exist is named', async (t) => {
  const { bridges } = await host();
  await t.throwsAsync(bridges.ensurePort(SPEC, 'wtap-42'), {
    code: 'E_DEVICE_MISSING',
    message: /no interface wtap-42/,
  });
});

test('removing a bridge twice; a refusal of the kernel is not taken for absence', async (t) => {
  const { kernel, bridges } = await host();
  kernel.failAt = kernel.steps + 1;
  await t.throwsAsync(bridges.removeBridge(SPEC.vni), { code: 'E_COMMAND_FAILED' });
  t.true(await bridges.removeBridge(SPEC.vni));
  t.false(await bridges.removeBridge(SPEC.vni));
});

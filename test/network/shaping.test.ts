import test from 'ava';
import type { Endpoint } from '../../src/network/endpoint.ts';
import { checkBandwidth } from '../../src/network/shaping.ts';
import { CommandFailed } from '../../src/os/exec.ts';
import { attachmentOf, failAtEachStep, host, SPEC } from './fixture.ts';

const BANDWIDTH = {
  ingress: { rate: 8_000_000, burst: 160_000 },
  egress: { rate: 1_000_001, burst: 80_000 },
} as const;

/** A host with a limited endpoint attached. */
async function limited() {
  const made = await host();
  const endpoint: Endpoint = { ...made.endpoint, bandwidth: BANDWIDTH };
  const attachment = attachmentOf(endpoint);
  const name = `wv${endpoint.id.slice(0, 12)}`;
  return { ...made, endpoint, attachment, name, shaper: `wi${endpoint.id.slice(0, 12)}` };
}

test('what goes to a workload is held at its pair, what comes from it at a device beside', async (t) => {
  const { kernel, tc, sandboxes, attachment, endpoint, name, shaper } = await limited();
  const before = kernel.snapshot();
  await sandboxes.attach(attachment);
  t.deepEqual(await tc.qdiscs(), [
    { device: name, kind: 'tbf', rate: 8_000_000, burstBytes: 20_000 },
    { device: shaper, kind: 'tbf', rate: 1_000_000, burstBytes: 10_000 },
    { device: name, kind: 'ingress' },
  ]);
  t.deepEqual(await tc.redirects(name), [shaper]);
  t.like(kernel.find(shaper), { kind: 'ifb', mtu: SPEC.mtu, isUp: true });
  t.true(await kernel.isIpv6Disabled(shaper));
  t.deepEqual(await sandboxes.examine(attachment), []);
  t.deepEqual(await sandboxes.attach(attachment), []);
  t.true(await sandboxes.detach(endpoint));
  t.deepEqual(kernel.snapshot(), before);
});

test('an endpoint without limits costs no look', async (t) => {
  const { tc, sandboxes, auditor, attachment } = await host();
  await sandboxes.attach(attachment);
  await auditor.audit([{ ...SPEC, endpoints: [attachment.endpoint] }], 9);
  t.is(tc.looks, 0);
});

test('a half-done attach leaves nothing, whichever step fails', async (t) => {
  const { kernel, tc, sandboxes, attachment } = await limited();
  const before = kernel.snapshot();
  const attach = () => sandboxes.attach(attachment);
  const steps = await failAtEachStep(kernel, attach, (step) => {
    t.deepEqual(kernel.snapshot(), before, `step ${step}`);
  });
  t.is(steps, 11);
  await sandboxes.detach(attachment.endpoint);
  tc.failWith = new CommandFailed('tc says no');
  await t.throwsAsync(attach(), { message: 'tc says no' });
  t.deepEqual(kernel.snapshot(), before);
});

for (const what of ['root', 'ingress', 'redirect', 'device'] as const) {
  test(`a lost ${what} is found by CHECK and by the sweep, and made again`, async (t) => {
    const { kernel, tc, sandboxes, auditor, attachment, endpoint, name, shaper } = await limited();
    await sandboxes.attach(attachment);
    const good = [await tc.qdiscs(), await tc.redirects(name)];
    if (what === 'device') kernel.removeLink(shaper);
    else tc.lose(name, what);
    t.deepEqual(await sandboxes.examine(attachment), [
      what === 'root'
        ? 'no limit of 8000000 bit/s on what goes to it'
        : 'no limit of 1000001 bit/s on what goes from it',
    ]);
    const desired = [{ ...SPEC, endpoints: [endpoint] }];
    const { changes, lost } = await auditor.audit(desired, 1);
    t.deepEqual(lost, []);
    t.is(changes.length, 1, changes.join());
    t.regex(changes[0] ?? '', /no limit of \d+ bit\/s on what goes (?:to|from) it; repaired\.$/);
    const byDevice = (list: readonly unknown[]) => list.map((each) => JSON.stringify(each)).sort();
    const now = [await tc.qdiscs(), await tc.redirects(name)];
    t.deepEqual(now.map(byDevice), good.map(byDevice));
    t.deepEqual((await auditor.audit(desired, 1)).changes, []);
  });
}

test('the device of an endpoint that is gone is removed', async (t) => {
  const { kernel, sandboxes, auditor, attachment, shaper } = await limited();
  await sandboxes.attach(attachment);
  kernel.removeNamespace('/run/netns/x');
  const { changes } = await auditor.audit([{ ...SPEC, endpoints: [] }]);
  t.deepEqual(changes, [`${shaper} belongs to no network or endpoint; removed.`]);
  t.is(kernel.find(shaper), undefined);
});

test('limits are read, and 0 is none', (t) => {
  t.deepEqual(checkBandwidth(BANDWIDTH, 1450), BANDWIDTH);
  const none = { rate: 0, burst: 0 };
  t.is(checkBandwidth({ ingress: none, egress: none }, 1450), undefined);
  t.deepEqual(checkBandwidth({ ingress: none, egress: BANDWIDTH.egress }, 1450), {
    egress: BANDWIDTH.egress,
  });
  t.is(checkBandwidth({}, 1450), undefined);
});

for (const [limit, sentence] of [
  [{ rate: 1_000_000, burst: 0 }, /^The ingress rate is 1000000 bit\/s and no burst is given/],
  [{ rate: 0, burst: 80_000 }, /^The ingress burst is 80000 bits and no rate is given/],
  [{ rate: 999, burst: 80_000 }, /rate of 999 bit\/s is out of range; give 1000 to/],
  [{ rate: 2e15, burst: 80_000 }, /out of range/],
  [{ rate: 1_000_000, burst: 11_711 }, /burst of 11711 bits is out of range; give 11712/],
  [{ rate: 1_000_000, burst: 2 ** 35 }, /to 34359738360\.$/],
] as const) {
  test(`refused: ${limit.rate} bit/s with a burst of ${limit.burst}`, (t) => {
    const error = t.throws(() => checkBandwidth({ ingress: limit }, 1450), {
      code: 'E_BANDWIDTH_INVALID',
    });
    t.regex(error.message, sentence);
  });
}

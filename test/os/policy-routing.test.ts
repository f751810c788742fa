import test from 'ava';
import type { Outcome, Perform, Step } from '../../src/os/netlink/addon.ts';
import { NetlinkPolicyRouting } from '../../src/os/netlink/netlink-policy-routing.ts';
import type { PolicyEntry } from '../../src/os/policy-routing.ts';

const FINE: Outcome = { failedAt: 0, errno: 0, why: '', replies: [] };
const RULE: PolicyEntry = { kind: 'rule', from: '10.7.0.100', to: '10.7.0.0/24' };
const RULE6: PolicyEntry = { kind: 'rule', from: 'fd00::1', to: 'fd00::/64' };
const ROUTE: PolicyEntry = {
  ...{ kind: 'route', from: '10.7.0.100', to: '10.7.0.0/24', device: 'weft-h42' },
};

/** fib_rule_hdr and attributes, rtmsg and attributes: as the kernel tells them back. */
const RULE_BODY = [
  '02182000' + '00000001' + '00000000',
  '0800' + '0100' + '0a070000' + '0800' + '0200' + '0a070064',
  '0800' + '0600' + 'f7060000' + '0800' + '0f00' + '671e0000',
  '0500' + '1500' + '57000000',
].join('');
const ROUTE_BODY = [
  '02180000' + '0057fd01' + '00000000',
  '0800' + '0100' + '0a070000' + '0800' + '0700' + '0a070064',
  '0800' + '0400' + '09000000' + '0800' + '0f00' + '671e0000',
].join('');

function message(type: string, body: string): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(16 + body.length / 2);
  return Buffer.concat([head.fill(type, 4, 6, 'hex'), Buffer.from(body, 'hex')]);
}

function scripted(...answers: readonly Partial<Outcome>[]) {
  const calls: (readonly Step[])[] = [];
  const left = [...answers];
  const perform: Perform = (_netns, steps) => {
    calls.push(steps);
    return Promise.resolve({ ...FINE, ...left.shift() });
  };
  const routing = new NetlinkPolicyRouting(perform, (index) => (index === 9 ? 'weft-h42' : ''));
  return { calls, routing };
}

const hex = (step: Step | undefined): string =>
  step !== undefined && 'message' in step ? step.message.toString('hex') : '';

test('rules and routes are messages as the kernel documents them, taken away before others are added', async (t) => {
  const { calls, routing } = scripted();
  await routing.change([RULE], [ROUTE, RULE, RULE6]);
  await routing.change([], []);
  t.is(calls.length, 1);
  const [gone, route, rule, rule6] = calls[0] ?? [];
  t.is(hex(gone), '44000000' + '2100' + '0500' + '0000000000000000' + RULE_BODY);
  t.is(hex(rule), '44000000' + '2000' + '0506' + '0000000000000000' + RULE_BODY);
  t.is(
    hex(route),
    '3c000000' + '1800' + '0506' + '0000000000000000' + ROUTE_BODY.replace('09000000', '00000000'),
  );
  t.deepEqual(route && 'message' in route && route.patches, [
    { kind: 'index', text: 'weft-h42', at: 48 },
  ]);
  // 0x10000: what has no source yet counts as from the one that it would get.
  t.is(hex(rule6).slice(32, 56), '0a408000' + '00000001' + '00000100');
});

test('what the kernel has is read, and what is not ours is left out', async (t) => {
  const foreign = [
    RULE_BODY.replace('57000000', '03000000'),
    RULE_BODY.replace('671e0000', 'fe000000'),
    RULE_BODY.replace('f7060000', 'fe7f0000'),
    RULE_BODY.replace('0800' + '0200' + '0a070064', ''),
  ];
  const rules = Buffer.concat(['', ...foreign].map((body) => message('2000', body || RULE_BODY)));
  const alien = ROUTE_BODY.replace('0057fd01', '0003fd01');
  const routes = Buffer.concat([message('1800', alien), message('1800', ROUTE_BODY)]);
  const { calls, routing } = scripted(
    { replies: [rules] },
    { errno: 97, why: 'Address family not supported' },
    { replies: [routes] },
    { errno: 2, why: 'No such file or directory' },
  );
  t.deepEqual(await routing.list(), [RULE, ROUTE]);
  t.deepEqual(
    calls.map(([step]) => hex(step).slice(8, 16) + hex(step).slice(32, 34)),
    ['2200010302', '220001030a', '1a00010302', '1a0001030a'],
  );
});

test('a refusal names what was refused', async (t) => {
  const why = 'Operation not permitted';
  const { routing } = scripted(
    { errno: 1, failedAt: 1, why },
    { errno: 1, failedAt: 0, why },
    { errno: 1, failedAt: -1, why },
    { errno: 1, why },
  );
  await t.throwsAsync(routing.change([RULE], [ROUTE]), {
    code: 'E_COMMAND_FAILED',
    message:
      'The route "10.7.0.0/24 dev weft-h42 src 10.7.0.100" can\'t be added: Operation not permitted.',
  });
  await t.throwsAsync(routing.change([RULE], [ROUTE]), {
    message:
      'The rule "from 10.7.0.100 to 10.7.0.0/24" can\'t be taken away: Operation not permitted.',
  });
  await t.throwsAsync(routing.change([RULE], []), {
    message: "Policy routing can't be changed: Operation not permitted.",
  });
  await t.throwsAsync(routing.list(), {
    message: "The rules of IPv4 can't be read: Operation not permitted.",
  });
  await t.throwsAsync(routing.change([], [{ ...RULE, to: 'fd00::/64' }]), {
    message: 'The rule "from 10.7.0.100 to fd00::/64" has no addresses of one family.',
  });
});

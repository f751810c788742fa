import test from 'ava';
import { HostRoutes, type HostPort } from '../../src/network/host-routes.ts';
import { FakePolicyRouting } from '../fakes/fake-policy-routing.ts';

const BLUE: HostPort = { ifname: 'weft-h42', addresses: ['10.7.0.100/24', 'fd00:7::64/64'] };
const DARK: HostPort = { ifname: 'weft-h43', addresses: ['10.8.0.9/16'] };
const BLUE_TEXTS = [
  'route "10.7.0.0/24 dev weft-h42 src 10.7.0.100"',
  'rule "from 10.7.0.100 to 10.7.0.0/24"',
  'rule "from 0.0.0.0 to 10.7.0.0/24"',
  'route "fd00:7::/64 dev weft-h42 src fd00:7::64"',
  'rule "from fd00:7::64 to fd00:7::/64"',
];
const FIRST_RULE = BLUE_TEXTS[1] ?? '';

function host() {
  const devices = new Set(['weft-h42', 'weft-h43']);
  const routing = new FakePolicyRouting((name) => devices.has(name));
  return { devices, routing, routes: new HostRoutes(routing) };
}

test('what the host says from its own address, or from none yet, goes by its own interface', async (t) => {
  const { routing, routes } = host();
  t.deepEqual(await routes.ensure([BLUE]), []);
  t.deepEqual(routing.texts(), BLUE_TEXTS);
  t.deepEqual(await routes.ensure([BLUE]), []);
  t.is(routing.changes, 1, 'nothing is done twice');
  await routes.ensure([BLUE, DARK]);
  t.is(routing.texts().length, BLUE_TEXTS.length + 3);
  t.true(routing.texts().includes('route "10.8.0.0/16 dev weft-h43 src 10.8.0.9"'));
});

test('an address that is another leaves nothing of the first', async (t) => {
  const { routing, routes } = host();
  await routes.ensure([BLUE]);
  t.deepEqual(await routes.ensure([{ ...BLUE, addresses: ['10.7.0.101/24'] }]), []);
  t.deepEqual(routing.texts().sort(), [
    'route "10.7.0.0/24 dev weft-h42 src 10.7.0.101"',
    'rule "from 0.0.0.0 to 10.7.0.0/24"',
    'rule "from 10.7.0.101 to 10.7.0.0/24"',
  ]);
});

test('a host that leaves keeps nothing, and is not looked at again', async (t) => {
  const { routing, routes } = host();
  await routes.ensure([BLUE]);
  t.deepEqual(await routes.ensure([]), []);
  t.deepEqual(routing.texts(), []);
  const { looks } = routing;
  await routes.ensure([]);
  t.deepEqual(await routes.examine(), []);
  t.is(routing.looks, looks);
});

test('what somebody took away is made again and told, what came with nobody is removed', async (t) => {
  const { devices, routing, routes } = host();
  await routes.ensure([BLUE]);
  routing.forget(FIRST_RULE);
  t.deepEqual(await routes.examine(), [`no ${FIRST_RULE}`]);
  t.false(routing.texts().includes(FIRST_RULE), 'to examine changes nothing');
  t.deepEqual(await routes.ensure([BLUE]), [`The ${FIRST_RULE} was gone; made again.`]);
  await routing.change([], [{ kind: 'rule', from: '10.9.0.1', to: '10.9.0.0/24' }]);
  t.deepEqual(await routes.ensure([BLUE]), [
    'The rule "from 10.9.0.1 to 10.9.0.0/24" belongs to no interface; removed.',
  ]);
  t.deepEqual(routing.texts().sort(), [...BLUE_TEXTS].sort());
  // An interface takes its routes with it, and no rules.
  devices.delete('weft-h42');
  t.is(routing.texts().length, 3);
  await t.throwsAsync(routes.ensure([BLUE]), { code: 'E_COMMAND_FAILED' });
  devices.add('weft-h42');
  await routes.ensure([BLUE]);
  t.deepEqual(routing.texts().sort(), [...BLUE_TEXTS].sort());
});

test('the next daemon takes over what the last one left, or takes it away', async (t) => {
  const { routing, routes } = host();
  await routes.ensure([BLUE, DARK]);
  const heir = new HostRoutes(routing);
  t.deepEqual(await heir.ensure([BLUE]), []);
  t.deepEqual(routing.texts(), BLUE_TEXTS);
  await new HostRoutes(routing).ensure([]);
  t.deepEqual(routing.texts(), []);
});

import test, { type ExecutionContext } from 'ava';
import type { Control } from '../../src/api/control.ts';
import { HOST_ORIGIN } from '../../src/network/endpoint.ts';
import { OWN } from '../../src/os/netns.ts';
import { CUTS, type Death } from './mortal.ts';
import { MortalHost, World } from './mortal-host.ts';

const OWN_PORT = 'weft-h42';
const RULES = [
  'route "10.7.0.0/24 dev weft-h42 src 10.7.0.100"',
  'rule "from 0.0.0.0 to 10.7.0.0/24"',
  'rule "from 10.7.0.100 to 10.7.0.0/24"',
];
const isGone = (host: MortalHost): boolean => host.kernel.find(OWN_PORT) === undefined;

const expose = (control: Control) => control.expose({ network: 'blue', ip: '10.7.0.100' });
const hide = (control: Control) => control.hide('blue');

async function hostOn(...networks: readonly Parameters<Control['createNetwork']>[0][]) {
  const host = new MortalHost('a', '192.0.2.1', new World(1));
  await host.start();
  for (const network of networks) await host.run((control) => control.createNetwork(network));
  return host;
}

const BLUE = { name: 'blue', subnet: '10.7.0.0/24', vni: 42, edge: 'routed' } as const;

test('a host on a network with a gateway has its own way there, and nothing once it is hidden', async (t) => {
  const host = await hostOn(BLUE);
  t.like(await host.run(expose), { address: '10.7.0.100/24', owner: HOST_ORIGIN });
  t.deepEqual(host.policyRouting.texts().sort(), RULES);
  // The bridge has the subnet's route: the address came without one.
  const routes = await host.kernel.routes(OWN);
  t.false(routes.some(({ device }) => device === OWN_PORT));
  t.like(await host.run(expose), { address: '10.7.0.100/24' });
  t.like(await host.run(hide), { address: '10.7.0.100/24' });
  t.deepEqual(host.policyRouting.texts(), []);
  t.true(isGone(host));
  t.is(await host.run(hide), 'refused');
});

test('what the kernel refuses is undone', async (t) => {
  const host = await hostOn(BLUE);
  host.policyRouting.isRefusing = true;
  t.is(await host.run(expose), 'refused');
  t.true(isGone(host));
  host.policyRouting.isRefusing = false;
  t.like(await host.run(expose), { address: '10.7.0.100/24' });
  t.deepEqual(host.policyRouting.texts().sort(), RULES);
});

/** Whether the host is on the network or not, the kernel has what belongs to that and no more. */
async function checkWhole(t: ExecutionContext, host: MortalHost, what: string): Promise<void> {
  const own = (await host.endpoints()).filter(({ owner }) => owner === HOST_ORIGIN);
  t.deepEqual(host.policyRouting.texts().sort(), own.length > 0 ? RULES : [], what);
  t.is(isGone(host), own.length === 0, what);
}

for (const [name, act] of [
  ['expose', expose],
  ['hide', hide],
] as const) {
  test(`a host that is killed at any deed of "${name}" has all of its rules after a start, or none`, async (t) => {
    for (const cut of CUTS) {
      for (let at = 1; ; at++) {
        const death: Death = { at, cut };
        const host = await hostOn(BLUE);
        if (act === hide) await host.run(expose);
        host.life.doom(death);
        const answer = await host.run(act);
        if (answer !== 'dead') {
          t.true(at > 3, 'it has several deeds');
          break;
        }
        await host.start();
        await checkWhole(t, host, `${name} killed ${cut} deed ${at}`);
      }
    }
  });
}

test('a plain wire needs no rules', async (t) => {
  const host = await hostOn({ name: 'blue', subnet: '10.7.0.0/24', vni: 42 });
  t.like(await host.run(expose), { address: '10.7.0.100/24' });
  t.deepEqual(host.policyRouting.texts(), []);
  t.true((await host.kernel.routes(OWN)).some(({ device }) => device === OWN_PORT));
});

test('an isolated network is refused, and nothing is begun', async (t) => {
  const host = await hostOn({ ...BLUE, isolate: true });
  await t.throwsAsync(expose(host.control), {
    code: 'E_NETWORK_ISOLATED',
    message:
      /^Network blue is isolated: .* the gateway 10\.7\.0\.\d+, which .* without --isolate\.$/,
  });
  t.true(isGone(host));
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { packageRoot } from '../../../src/base/package-root.ts';
import { MortalHost, World } from '../../daemon/mortal-host.ts';

/*
 * What containerd's CRI plugin really started another CNI program with, in order, goes to a whole daemon:
 * as it was recorded, config and all; that program's name is what Weft's is called by.
 */

interface Recorded {
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: object;
  /** What the other program answered. */
  readonly out: Result | null;
}

interface Result {
  readonly cniVersion: string;
  readonly interfaces: readonly { readonly name: string; readonly mac: string }[];
  readonly ips: readonly { readonly address: string }[];
}

const TRACE = join(packageRoot, 'test/plugin/cni/traces/containerd-cri.jsonl');
const PROGRAM = 'probe-cni';
const FACE = '/v1/cni';

const recorded = readFileSync(TRACE, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Recorded);

const bodyOf = ({ env, stdin }: Recorded, more: object = {}) => ({
  plugin: PROGRAM,
  env: { ...env, ...more },
  stdin: JSON.stringify(stdin),
});

/** Keys at any depth, for one result to be held against another. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf);
  if (typeof value !== 'object' || value === null) return typeof value;
  const keys = Object.entries(value).map(([key, each]) => [key, shapeOf(each)] as const);
  return Object.fromEntries(keys.sort(([one], [other]) => (one < other ? -1 : 1)));
}

test("containerd's calls have the answers that containerd takes, and leave nothing", async (t) => {
  const world = new World(1);
  const host = new MortalHost('a', '192.0.2.1', world);
  await host.start();
  await host.run((control) =>
    control.createNetwork({ name: 'probenet', subnet: '10.66.0.0/24', edge: 'routed' }),
  );
  const before = await host.links();
  for (const call of recorded) {
    const { CNI_NETNS: netns = '', CNI_COMMAND: command = '' } = call.env;
    if (command === 'ADD') host.addSandbox(netns);
    const answer = await host.face(FACE, bodyOf(call));
    if (answer === 'dead') throw new Error('dead');
    if (call.out === null) {
      t.is(answer.status, 204, command);
      t.deepEqual(await host.endpoints(), []);
      continue;
    }
    t.is(answer.status, 200, JSON.stringify(answer.body));
    const result = answer.body as Result & { readonly routes: readonly { readonly gw?: string }[] };
    // Beside what the other program said, the gateway of the default route.
    const [{ gw } = {}] = result.routes;
    t.is(gw, '10.66.0.1');
    const plain = { ...result, routes: [{ dst: '0.0.0.0/0' }] };
    t.deepEqual(shapeOf({ ...plain, dns: {} }), shapeOf({ ...call.out, dns: {} }));
    t.is(result.cniVersion, call.out.cniVersion);
    const [endpoint] = await host.endpoints();
    t.like(endpoint, {
      ...{ names: ['web-0', 'web-0.default'], address: result.ips[0]?.address },
      ports: [{ protocol: 'tcp', hostPort: 8081, port: 80 }],
    });
    t.is(endpoint?.mac, result.interfaces[0]?.mac);
  }
  // The recording ends with a pod; what containerd would have said next.
  const last = recorded.at(-1);
  if (last === undefined) return t.fail();
  const removed = await host.face(FACE, bodyOf(last, { CNI_COMMAND: 'DEL' }));
  t.like(removed, { status: 204 });
  t.deepEqual(await host.endpoints(), []);
  await world.pass(2_000);
  t.deepEqual(await host.links(), before);
  host.kill();
});

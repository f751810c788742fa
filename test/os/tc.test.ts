import test from 'ava';
import { readQdiscs, readRedirects, tcLines, TcTool } from '../../src/os/tc.ts';

// As iproute2 6.1 told them on Linux 6.18.
const QDISCS = `[{"kind":"noqueue","handle":"0:","dev":"lo","root":true,"refcnt":2,"options":{}},
{"kind":"tbf","handle":"8002:","dev":"v0","root":true,"refcnt":3,"options":{"rate":1000000,"burst":20000,"lat":25000}},
{"kind":"ingress","handle":"ffff:","dev":"v0","parent":"ffff:fff1","options":{}},
{"kind":"bfifo","handle":"1:","dev":"v0","parent":"8002:1","options":{"limit":45000}}]`;
const FILTERS = `[{"parent":"ffff:","protocol":"all","pref":1,"kind":"u32","chain":0},
{"parent":"ffff:","protocol":"all","pref":1,"kind":"u32","chain":0,"options":{"fh":"800:","ht_divisor":1}},
{"parent":"ffff:","protocol":"all","pref":1,"kind":"u32","chain":0,"options":{"fh":"800::800","match":{"value":"0","mask":"0"},"actions":[{"order":1,"kind":"mirred","mirred_action":"redirect","direction":"egress","to_dev":"i0"}]}}]`;

test('qdiscs are read at root and ingress, rates in bits', (t) => {
  t.deepEqual(readQdiscs(JSON.parse(QDISCS)), [
    { device: 'lo', kind: 'noqueue' },
    { device: 'v0', kind: 'tbf', rate: 8_000_000, burstBytes: 20_000 },
    { device: 'v0', kind: 'ingress' },
  ]);
});

test('where frames are led is read', (t) => {
  t.deepEqual(readRedirects(JSON.parse(FILTERS)), ['i0']);
  t.deepEqual(readRedirects([]), []);
});

test('a batch is one process, and nothing to do is none', async (t) => {
  const calls: [string, readonly string[], string | undefined][] = [];
  const tc = new TcTool({
    run(program, args, options) {
      calls.push([program, args, options?.input]);
      return Promise.resolve('');
    },
  });
  await tc.apply([]);
  t.deepEqual(calls, []);
  const commands = [
    { kind: 'limit', device: 'i0', rate: 8_000_000, burstBytes: 20_000, queueBytes: 45_000 },
    { kind: 'stopRedirect', device: 'v0' },
    { kind: 'redirect', device: 'v0', to: 'i0' },
  ] as const;
  await tc.apply(commands);
  t.deepEqual(calls, [['tc', ['-batch', '-'], `${commands.flatMap(tcLines).join('\n')}\n`]]);
  t.deepEqual(commands.flatMap(tcLines), [
    'qdisc replace dev i0 root tbf rate 8000000bit burst 20000 limit 45000',
    'qdisc del dev v0 ingress',
    'qdisc add dev v0 ingress',
    'filter add dev v0 parent ffff: protocol all prio 1 u32 match u32 0 0 action mirred egress redirect dev i0',
  ]);
  t.deepEqual(await tc.qdiscs(), []);
});

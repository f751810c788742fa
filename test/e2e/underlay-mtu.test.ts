import test from 'ava';
import { eventually, makeHosts, upJoined } from './mesh.ts';

/** VXLAN over IPv4: outer IP 20, UDP 8, VXLAN 8, inner Ethernet 14. */
const OVERHEAD = 74;
/** IP and ICMP headers of a ping. */
const PING_OVERHEAD = 28;

for (const underlayMtu of [9000, 1280]) {
  test(`over an underlay of MTU ${underlayMtu} the network has what it leaves, and not a byte more`, async (t) => {
    const mesh = await makeHosts(t, `mtu${underlayMtu}`, ['a', 'b']);
    const [a, b] = mesh.hosts;
    if (!a || !b) throw new Error('two hosts were asked for');
    for (const { namespace } of [a, b]) await namespace.ip(`link set u0 mtu ${underlayMtu}`);
    await a.up();
    await upJoined(b, a);
    const { mtu } = await a.json<{ mtu: number }>(
      ...['network', 'create', 'blue', '--subnet', '10.7.0.0/24'],
    );
    t.is(mtu, underlayMtu - OVERHEAD);
    const knows = async (): Promise<boolean> =>
      (await b.tryWeft('network', 'inspect', 'blue')).status === 0;
    await eventually(knows, 20_000);
    const [web, db] = [await mesh.container('web'), await mesh.container('db')];
    t.is((await a.attach('blue', web, '10.7.0.2')).mtu, mtu);
    await b.attach('blue', db, '10.7.0.3');
    await eventually(() => web.answers('10.7.0.3'), 20_000);

    const whole = ['-c', '3', '-i', '0.05', '-M', 'do', '-q'];
    const size = (bytes: number): string[] => ['-s', String(bytes - PING_OVERHEAD), '10.7.0.3'];
    t.is((await web.tryRun('ping', [...whole, ...size(mtu)])).status, 0, 'the largest packet');
    const tooLong = await web.tryRun('ping', [...whole, '-W', '1', ...size(mtu + 1)]);
    t.regex(tooLong.stderr + tooLong.stdout, /[Mm]essage too long|100% packet loss/);
    const inPieces = ['-c', '3', '-i', '0.05', '-M', 'dont', '-q', ...size(3 * mtu)];
    t.is((await web.tryRun('ping', inPieces)).status, 0, 'longer packets go as fragments');
    t.true((await db.transferTo(web, { address: '10.7.0.2', bytes: 2_000_000 })).isIntact);

    const refused = await a.tryWeft(
      ...['network', 'create', 'red', '--subnet', '10.8.0.0/24', '--mtu', String(mtu + 1)],
    );
    t.is(refused.status, 1);
    t.regex(refused.stderr, new RegExp(`${mtu + 1}.*${mtu}`));
  });
}

import test from 'ava';
import { parsePing, pingArguments } from '../../bench/lib/ping.ts';

test("reads iputils' output: loss, duplicates, times and who answered", (t) => {
  const report = parsePing(`PING 10.7.0.255 (10.7.0.255) 56(84) bytes of data.
64 bytes from 10.7.0.2: icmp_seq=1 ttl=64 time=0.071 ms
64 bytes from 10.7.0.3: icmp_seq=1 ttl=64 time=1.20 ms (DUP!)
64 bytes from 10.7.0.2: icmp_seq=3 ttl=64 time=0.050 ms

--- 10.7.0.255 ping statistics ---
4 packets transmitted, 2 received, +1 duplicates, 50% packet loss, time 3051ms
rtt min/avg/max/mdev = 0.050/0.440/1.200/0.535 ms
`);
  t.like(report, { sent: 4, received: 2, duplicates: 1, lossPercent: 50 });
  t.deepEqual(report.roundTripsMs, [0.071, 1.2, 0.05]);
  t.deepEqual(report.answeredBy, ['10.7.0.2', '10.7.0.3', '10.7.0.2']);
});

test('output without a summary is an error that shows it', (t) => {
  t.throws(() => parsePing('ping: bad address'), { message: /no summary:\nping: bad address/ });
});

test('arguments', (t) => {
  t.is(pingArguments('10.7.0.2').join(' '), '-n -c 3 -i 0.05 -s 56 -W 2 10.7.0.2');
  const options = { count: 1, bytes: 1402, isUnfragmented: true, isBroadcast: true };
  t.regex(pingArguments('x', options).join(' '), /-c 1 .*-s 1402 .*-M do -b x$/);
});

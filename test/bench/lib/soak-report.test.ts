import test from 'ava';
import {
  GROWTH_LIMIT_BYTES,
  growthBytes,
  renderSoak,
  soakFaults,
  type SoakResult,
} from '../../../bench/lib/soak-report.ts';

const FLAT = Array.from({ length: 8 }, () => 60 * 2 ** 20);

const PASSED: SoakResult = {
  seconds: 60,
  tcpBitsPerSecond: 3.1e9,
  switches: 11,
  streams: [{ name: 'a to b', sent: 1000, received: 1000, reordered: 0 }],
  hosts: [
    { name: 'a', drops: { sealed_forged: 0, port_hairpin: 2 }, tapDrops: 0, residentBytes: FLAT },
  ],
};

function withHost(host: Partial<SoakResult['hosts'][number]>): SoakResult {
  return { ...PASSED, hosts: PASSED.hosts.map((each) => ({ ...each, ...host })) };
}

test('growth is from the second quarter to the last, so that the first pages do not count', (t) => {
  t.is(growthBytes([1, 50, 100, 102, 105, 109, 110, 112]), 10);
  t.is(growthBytes(FLAT), 0);
  t.is(growthBytes([1, 2, 3]), 0);
});

test('a soak without loss, refusals or growth passes', (t) => {
  t.deepEqual(soakFaults(PASSED), []);
  t.true(renderSoak(PASSED).endsWith('passed'));
});

test('each fault is named', (t) => {
  t.deepEqual(soakFaults({ ...PASSED, switches: 0 }), ['no key was switched: it was too short']);
  t.deepEqual(soakFaults({ ...PASSED, tcpBitsPerSecond: 0 }), ['TCP did not pass']);
  const stream = { name: 'a to b', sent: 1000, received: 999, reordered: 0 };
  t.deepEqual(soakFaults({ ...PASSED, streams: [stream] }), [
    'the stream a to b lost 1 of 1000 datagrams',
  ]);
  t.deepEqual(soakFaults({ ...PASSED, streams: [{ ...stream, received: 0 }] }), [
    'the stream a to b did not pass',
  ]);
  t.deepEqual(soakFaults(withHost({ drops: { sealed_session_unknown: 3 } })), [
    'host a dropped 3 frames as sealed_session_unknown',
  ]);
  const grown = FLAT.map((bytes, at) => bytes + (at < 4 ? 0 : GROWTH_LIMIT_BYTES + 2 ** 20));
  t.deepEqual(soakFaults(withHost({ residentBytes: grown })), [
    'host a grew by 5.0 MiB of resident memory',
  ]);
});

test('the report has a row a stream and a host, and the reasons of a failure', (t) => {
  const text = renderSoak(withHost({ drops: { sealed_forged: 4, port_hairpin: 2 } }));
  t.regex(text, /^60 s, 11 key switches each way, TCP 3\.10 Gb\/s/);
  t.regex(text, /\| a to b +\| 1000 \| +0 \| +0 \|/);
  t.regex(text, /\| a +\| +60\.0 \|.* sealed_forged 4, port_hairpin 2 +\|/);
  t.regex(text, /FAILED:\n- host a dropped 4 frames as sealed_forged$/);
});

import test from 'ava';
import fc from 'fast-check';
import { asMac } from '../../src/base/types.ts';
import { describeFrame } from '../../src/wire/describe.ts';
import { arpRequestFrame, ipv6Frame, udpFrame, withTags } from '../fakes/frames.ts';
import { check, guarded, slices } from '../fakes/property.ts';

const macs = { destination: asMac(0x02005e100002), source: asMac(0x02005e100001) };
const flow = { source: 0x0a070001, destination: 0x0a070002, sourcePort: 5000, destinationPort: 53 };
const addresses = {
  source: Buffer.from('20010db8000000000000000000000001', 'hex'),
  destination: Buffer.from('20010db8000000000000000000000002', 'hex'),
};
const MACS = '02:00:5e:10:00:01 > 02:00:5e:10:00:02';

const udp = udpFrame(macs, flow, Buffer.alloc(4));
const arp = arpRequestFrame(macs.source, 0x0a070001, 0x0a070002);
const tcpSegment = Buffer.from('01bb9c40' + '0000000000000000' + '5012' + '000000000000', 'hex');
const tcp = ipv6Frame(macs, addresses, 6, tcpSegment);

const describe = (frame: Buffer): string => describeFrame(frame, 0, frame.length);

test('UDP over IPv4', (t) => {
  t.is(describe(udp), `${MACS}, IPv4 10.7.0.1.5000 > 10.7.0.2.53 UDP, length 46`);
});

test('TCP over IPv6, with its flags', (t) => {
  t.is(describe(tcp), `${MACS}, IPv6 2001:db8::1.443 > 2001:db8::2.40000 TCP [S.], length 74`);
});

test('ARP request and reply', (t) => {
  const macsToAll = '02:00:5e:10:00:01 > ff:ff:ff:ff:ff:ff';
  t.is(describe(arp), `${macsToAll}, ARP who-has 10.7.0.2 tell 10.7.0.1, length 42`);
  const reply = Buffer.from(arp);
  reply[21] = 2;
  t.is(describe(reply), `${macsToAll}, ARP 10.7.0.1 is-at 02:00:5e:10:00:01, length 42`);
});

test('a tag, a fragment, an unknown type, a cut chain, a short frame', (t) => {
  t.regex(
    describe(withTags(udp, [0x8100, 100])),
    /, vlan 100, IPv4 10\.7\.0\.1\.5000 > .*, length 50$/,
  );
  const fragment = Buffer.from(udp);
  fragment.writeUInt16BE(0x2000, 20);
  t.regex(describe(fragment), /IPv4 10\.7\.0\.1 > 10\.7\.0\.2 UDP fragment/);
  const unknown = Buffer.from(udp);
  unknown.writeUInt16BE(0x0088, 12);
  t.regex(describe(unknown), /, type 0x0088, length 46$/);
  t.regex(describe(ipv6Frame(macs, addresses, 0, Buffer.alloc(4))), /2001:db8::2 cut, length 58$/);
  t.is(describe(udp.subarray(0, 13)), 'short frame, length 13');
});

test('random frames: one line, and nothing outside is read', (t) => {
  const heads = [
    udp.subarray(0, 34),
    tcp.subarray(0, 54),
    arp.subarray(0, 22),
    udp.subarray(0, 14),
  ];
  const property = fc.property(slices(60, ...heads), (slice) => {
    const line = describeFrame(guarded(slice), slice.start, slice.end);
    return line.endsWith(`length ${slice.end - slice.start}`) && !line.includes('\n');
  });
  t.notThrows(() => check(property, 2000));
});

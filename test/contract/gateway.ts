import { asMac } from '../../src/base/types.ts';
import type { Gateway } from '../../src/dataplane/dataplane.ts';
import { HEADER_BYTES } from '../../src/wire/ethernet.ts';
import { ND_FLAG, writeAdvertisement, ADVERTISEMENT_BYTES } from '../../src/wire/nd.ts';
import { writeMac } from '../../src/wire/mac.ts';
import { arpRequestFrame, solicitationFrame } from '../fakes/frames.ts';
import {
  BROADCAST,
  type Contract,
  expectDrops,
  expectTexts,
  frame,
  type Host,
  type Lab,
  station,
  VNI,
} from './hosts.ts';

const ip4 = (number: number): Buffer => Buffer.from([10, 7, 0, number]);
const ip6 = (number: number): Buffer =>
  Buffer.from(`fd0000070000000000000000000000${number.toString(16).padStart(2, '0')}`, 'hex');

const GATEWAY: Gateway = {
  mac: asMac(0x02_57_45_00_00_2a),
  addresses: [ip4(1), ip6(1)],
};

const arp = (asker: number, wanted: number): Buffer =>
  arpRequestFrame(station(asker), ip4(asker).readUInt32BE(0), ip4(wanted).readUInt32BE(0));

const solicitation = (asker: number, wanted: number): Buffer =>
  solicitationFrame({ mac: station(asker), source: ip6(asker), target: ip6(wanted) });

/** Station `number` says to `to` that it has `target`. */
function advertisement(number: number, to: number, target: Buffer): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + ADVERTISEMENT_BYTES);
  writeMac(bytes, 0, station(to));
  writeMac(bytes, 6, station(number));
  bytes.writeUInt16BE(0x86dd, 12);
  writeAdvertisement(bytes, HEADER_BYTES, {
    ...{ destination: ip6(to), target, mac: station(number), flags: ND_FLAG.override },
  });
  return bytes;
}

/** What must not cross. */
const THEIRS: readonly (readonly [what: string, bytes: Buffer])[] = [
  ['a frame to its MAC', frame(station(1), GATEWAY.mac, 'for outside')],
  ['a frame from its MAC', frame(GATEWAY.mac, station(2), 'from outside')],
  ['a broadcast from its MAC', frame(GATEWAY.mac, BROADCAST, 'from outside to all')],
  ['an ARP request for it', arp(3, 1)],
  [
    'an ARP request in its name',
    arpRequestFrame(station(1), ip4(1).readUInt32BE(0), ip4(9).readUInt32BE(0)),
  ],
  ['a solicitation for it', solicitation(3, 1)],
  ['an advertisement in its name', advertisement(3, 2, ip6(1))],
];

/** Sent after the others on the same way: when it has come, they would have. */
function sendOrdinary({ device }: Host): string {
  const text = 'an ordinary frame';
  device.inject(frame(station(7), BROADCAST, text));
  return text;
}

export function gatewayContract(contract: Contract, lab: Lab): void {
  contract('what is to, from or about the gateway does not leave by a port', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    a.plane.setGateway(VNI, GATEWAY);
    for (const [, bytes] of THEIRS) a.device.inject(bytes);
    const text = sendOrdinary(a);
    await expectTexts(t, b.device, [text]);
    await expectDrops(t, a.plane, { port_gateway: THEIRS.length });
    t.false(
      a.plane.fdb(VNI).some(({ mac }) => mac === GATEWAY.mac),
      'nor is its MAC learned',
    );
  });

  contract('nor is it taken from a VTEP', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    b.plane.setGateway(VNI, GATEWAY);
    for (const [, bytes] of THEIRS) a.device.inject(bytes);
    const text = sendOrdinary(a);
    await expectTexts(t, b.device, [text]);
    await expectDrops(t, b.plane, { vxlan_gateway: THEIRS.length });
    t.false(
      b.plane.fdb(VNI).some(({ mac }) => mac === GATEWAY.mac),
      'nor is its MAC learned',
    );
  });

  contract('without a gateway, or with it taken away, all of that crosses', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    for (const { plane } of [a, b]) {
      plane.setGateway(VNI, GATEWAY);
      plane.setGateway(VNI, undefined);
    }
    for (const [, bytes] of THEIRS.slice(1)) a.device.inject(bytes);
    await expectTexts(
      t,
      b.device,
      THEIRS.slice(1).map(([, bytes]) => bytes.subarray(HEADER_BYTES).toString()),
    );
    t.is(a.plane.counters().drops.port_gateway, 0);
  });

  contract('ARP and discovery of others are no concern of the gateway', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    for (const { plane } of [a, b]) plane.setGateway(VNI, GATEWAY);
    const frames = [arp(4, 9), solicitation(3, 9), advertisement(3, 2, ip6(3))];
    for (const bytes of frames) a.device.inject(bytes);
    await expectTexts(
      t,
      b.device,
      frames.map((bytes) => bytes.subarray(HEADER_BYTES).toString()),
    );
    t.is(a.plane.counters().drops.port_gateway, 0);
  });
}

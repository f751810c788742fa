import type { ExecutionContext } from 'ava';
import type { Mac } from '../../src/base/types.ts';
import type { EndpointUpdate } from '../../src/dataplane/dataplane.ts';
import { ETHER_TYPE, HEADER_BYTES } from '../../src/wire/ethernet.ts';
import { writeMac } from '../../src/wire/mac.ts';
import {
  arpRequestFrame,
  solicitationFrame,
  type SolicitationSpec,
  withTags,
  writeIcmpv6Checksum,
} from '../fakes/frames.ts';
import {
  BROADCAST,
  type Contract,
  expectCounts,
  expectTexts,
  frame,
  type Host,
  type Lab,
  rawPeer,
  station,
  VNI,
  vxlan,
} from './hosts.ts';
import { until } from '../fakes/until.ts';

const ip4 = (number: number): Buffer => Buffer.from([10, 7, 0, number]);
const ip4Number = (number: number): number => ip4(number).readUInt32BE(0);
const ip6 = (number: number): Buffer =>
  Buffer.from(`20010db8000000000000000000ab${number.toString(16).padStart(4, '0')}`, 'hex');
const UNSPECIFIED = Buffer.alloc(16);

/** Station `number` with its IPv4 and IPv6 address, at `host`. */
function endpoint(number: number, host: Host): EndpointUpdate {
  return {
    ...{ kind: 'set', mac: station(number), vtep: host.plane.vxlanAddress.address },
    addresses: [ip4(number), ip6(number)],
  };
}

const forget = (number: number): EndpointUpdate => ({
  ...{ kind: 'remove', mac: station(number), vtep: '' },
  addresses: [ip4(number), ip6(number)],
});

const arp = (asker: number, wanted: number): Buffer =>
  arpRequestFrame(station(asker), ip4Number(asker), ip4Number(wanted));

const solicitation = (
  asker: number,
  wanted: number,
  more: Partial<SolicitationSpec> = {},
): Buffer =>
  solicitationFrame({ mac: station(asker), source: ip6(asker), target: ip6(wanted), ...more });

const hex = (mac: Mac): string => mac.toString(16).padStart(12, '0');

/** The reply that station `wanted` would give, by RFC 826. */
function arpReply(asker: number, wanted: number): string {
  const [to, from] = [hex(station(asker)), hex(station(wanted))];
  const [toIp, fromIp] = [ip4(asker).toString('hex'), ip4(wanted).toString('hex')];
  return `${to}${from}0806` + `0001080006040002${from}${fromIp}${to}${toIp}`;
}

/** The advertisement that station `wanted` would give, by RFC 4861 §4.4: solicited, override. */
function advertisement(asker: number, wanted: number): string {
  const from = hex(station(wanted));
  const target = ip6(wanted).toString('hex');
  const bytes = Buffer.from(
    `${hex(station(asker))}${from}86dd` +
      `60000000` +
      `0020` +
      `3aff${target}${ip6(asker).toString('hex')}` +
      `88000000` +
      `60000000${target}` +
      `0201${from}`,
    'hex',
  );
  writeIcmpv6Checksum(bytes);
  return bytes.toString('hex');
}

/** Injects at `a` and tells what came back to its device, in hex, and what reached `b` as it was sent. */
async function ask(a: Host, b: Host, question: Buffer): Promise<'answered' | 'forwarded'> {
  const [answers, arrivals] = [a.device.received().length, b.device.received().length];
  const end = frame(station(1), BROADCAST, 'end');
  a.device.inject(question, end);
  const arrived = (): readonly Buffer[] => b.device.received().slice(arrivals);
  await until(() => arrived().some((each) => each.equals(end)), 'what was sent after it arrives');
  // What was answered was so before the end was sent. Two threads may hand up the end first.
  const isAnswered = a.device.received().length > answers;
  const isForwarded = (): boolean => arrived().some((each) => each.equals(question));
  if (!isAnswered) await until(isForwarded, 'what is not answered arrives');
  else if (isForwarded()) throw new Error('a question is answered or forwarded, not both');
  return isAnswered ? 'answered' : 'forwarded';
}

async function bothAre(
  t: ExecutionContext,
  [a, b]: readonly [Host, Host],
  wanted: number,
  expected: 'answered' | 'forwarded',
): Promise<void> {
  t.is(await ask(a, b, arp(1, wanted)), expected, `ARP for ${wanted}`);
  t.is(await ask(a, b, solicitation(1, wanted)), expected, `solicitation of ${wanted}`);
}

/** Questions for an endpoint's MAC that the data plane answers by itself, and those that it leaves alone. */
export function neighbourContract(contract: Contract, lab: Lab): void {
  contract('ARP and solicitations for an endpoint elsewhere are answered here', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    a.plane.updateEndpoints(VNI, [endpoint(2, b)]);
    a.device.inject(arp(1, 2), solicitation(1, 2), frame(station(1), BROADCAST, 'end'));
    await expectTexts(t, b.device, ['end']);
    await until(() => a.device.received().length === 2, 'both are answered');
    const answers = a.device.received().map((bytes) => bytes.toString('hex'));
    t.deepEqual(answers, [arpReply(1, 2), advertisement(1, 2)]);
    const counts = (): unknown => {
      const { answered, ports, vteps } = a.plane.counters();
      const [{ rxFrames, txFrames, txBytes } = {}] = ports;
      return { answered, rxFrames, txFrames, txBytes, sent: vteps[0]?.txFrames };
    };
    const expected = {
      answered: { arp: 1, nd: 1, tooBig: 0 },
      rxFrames: 3,
      txFrames: 2,
      txBytes: 42 + 86,
    };
    await expectCounts(t, counts, { ...expected, sent: 1 });
  });

  contract('an answer stands only while the endpoint and its VTEP do', async (t) => {
    const { a, b, c } = await lab.mesh(t, ['a', 'b', 'c']);
    await bothAre(t, [a, b], 3, 'forwarded');
    a.plane.updateEndpoints(VNI, [endpoint(3, c)]);
    await bothAre(t, [a, b], 3, 'answered');
    a.plane.updateEndpoints(VNI, [forget(3)]);
    await bothAre(t, [a, b], 3, 'forwarded');
    a.plane.updateEndpoints(VNI, [endpoint(3, c)]);
    a.plane.removeVtep(VNI, '127.0.0.3');
    await bothAre(t, [a, b], 3, 'forwarded');
  });

  contract(
    'an address that another endpoint has taken over is answered for that one',
    async (t) => {
      const { a, b } = await lab.mesh(t, ['a', 'b']);
      a.plane.updateEndpoints(VNI, [
        endpoint(2, b),
        { ...endpoint(3, b), addresses: [ip4(2), ip6(2)] },
        forget(2),
      ]);
      a.device.inject(arp(1, 2));
      await until(() => a.device.received().length === 1, 'it is answered');
      const [answer] = a.device.received();
      t.is(answer?.subarray(6, 12).toString('hex'), hex(station(3)));
    },
  );

  contract('whether an address is free, and that one has it, is told to all', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    a.plane.updateEndpoints(VNI, [endpoint(2, b)]);
    const probe = arpRequestFrame(station(1), 0, ip4Number(2));
    t.is(await ask(a, b, probe), 'forwarded', 'ARP probe');
    const announcement = arpRequestFrame(station(1), ip4Number(2), ip4Number(2));
    t.is(await ask(a, b, announcement), 'forwarded', 'announcement');
    const dad = solicitation(1, 2, { source: UNSPECIFIED, options: '' });
    t.is(await ask(a, b, dad), 'forwarded', 'solicitation without a sender');
    t.deepEqual(a.plane.counters().answered, { arp: 0, nd: 0, tooBig: 0 });
  });

  contract('what is not a plain question goes the normal way', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    a.plane.updateEndpoints(VNI, [endpoint(2, b)]);
    const reply = arp(1, 2);
    reply[HEADER_BYTES + 7] = 2;
    const toStation = arp(1, 2);
    writeMac(toStation, 0, station(2));
    const forOther = arp(1, 2);
    writeMac(forOther, HEADER_BYTES + 8, station(5));
    const badSum = solicitation(1, 2);
    badSum[badSum.length - 1]! ^= 1;
    const toAll = solicitation(1, 2);
    toAll.set(Buffer.from('ff020000000000000000000000000001', 'hex'), HEADER_BYTES + 24);
    writeIcmpv6Checksum(toAll);
    const cases: Record<string, Buffer> = {
      'of an unknown address': arp(1, 77),
      'of an unknown IPv6 address': solicitation(1, 77),
      tagged: withTags(arp(1, 2), [ETHER_TYPE.customerTag, 5]),
      'tagged solicitation': withTags(solicitation(1, 2), [ETHER_TYPE.customerTag, 5]),
      'a reply': reply,
      'to one station': toStation,
      'for another sender': forOther,
      'cut short': arp(1, 2).subarray(0, HEADER_BYTES + 27),
      'routed solicitation': solicitation(1, 2, { hopLimit: 254 }),
      'wrong checksum': badSum,
      'to all nodes': toAll,
      'solicitation without a MAC': solicitation(1, 2, { options: '' }),
      'solicitation with another MAC': solicitation(1, 2, { options: '0101020000000005' }),
      'solicitation with an empty option': solicitation(1, 2, { options: '0100020000000001' }),
    };
    for (const [name, question] of Object.entries(cases)) {
      t.is(await ask(a, b, question), 'forwarded', name);
    }
    const other = solicitation(1, 2, { options: '0e01000000000000' + '0101020000000001' });
    t.is(await ask(a, b, other), 'answered', 'other options do not hinder');
  });

  contract('nobody is told that another has its own address', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    a.plane.updateEndpoints(VNI, [{ ...endpoint(2, b), addresses: [ip4(1), ip6(1), ip4(2)] }]);
    a.plane.addLocalMac(VNI, station(2), a.port);
    // The row is out of date: the endpoint is here by now.
    t.is(await ask(a, b, arpRequestFrame(station(2), ip4Number(9), ip4Number(2))), 'forwarded');
    t.is(await ask(a, b, arp(3, 2)), 'forwarded', "this host's own");
  });

  contract('a question from the underlay is for the stations here', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    a.plane.updateEndpoints(VNI, [endpoint(2, b)]);
    const peer = await rawPeer(t, '127.0.0.9');
    a.plane.addVtep(VNI, peer);
    const question = arp(9, 2);
    await peer.send(vxlan(VNI, question), a.plane.vxlanAddress);
    await until(() => a.device.received().length === 1, 'it arrives');
    t.deepEqual(a.device.received()[0], question);
    t.deepEqual(a.plane.counters().answered, { arp: 0, nd: 0, tooBig: 0 });
  });
}

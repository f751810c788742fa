import test from 'ava';
import { seededRng } from '../../src/base/rng.ts';
import { asMillis, type PeerPath, type SocketAddress } from '../../src/base/types.ts';
import { TrustedPaths } from '../../src/daemon/trusted-paths.ts';
import { encodeMemberMeta } from '../../src/daemon/peers.ts';
import type { Sealing } from '../../src/dataplane/dataplane.ts';
import type { Member } from '../../src/gossip/member.ts';
import { hostIdOf } from '../../src/link/identity.ts';
import { locatorOf } from '../../src/link/locator.ts';
import { KeyPair } from '../../src/link/noise/key-pair.ts';
import type { DatagramReceive } from '../../src/underlay/datagram.ts';
import { parseCidr, type Cidr } from '../../src/wire/cidr.ts';
import { ManualClock } from '../fakes/manual-clock.ts';

const KEY = { cipher: 'aes-256-gcm', key: Buffer.alloc(32), index: 1 } as const;
const ALL = ['10.0.0.0/8'];

/** What a host does to its data plane and says to others, in order. */
class Host {
  readonly identity = KeyPair.generate();
  readonly id = hostIdOf(this.identity.publicKey);
  readonly address: SocketAddress;
  readonly log: string[] = [];
  readonly trusted: TrustedPaths;
  readonly sealing: Sealing;
  isExpelling = false;
  hear: DatagramReceive = () => undefined;

  constructor(world: World, index: number, subnets: readonly string[]) {
    this.address = { address: `10.0.0.${index + 1}`, port: 7783 };
    this.trusted = new TrustedPaths({
      ...{ self: this.id, identity: this.identity, clock: world.clock, rng: seededRng(index) },
      subnets: subnets.flatMap((text): Cidr[] => [parseCidr(text) as Cidr]),
      members: {
        self: this.member,
        members: () => world.others(this).map(({ member }) => member),
        member: (id) => world.others(this).find((host) => host.id === id)?.member,
      },
      isExpelled: () => this.isExpelling,
      paths: () => ({
        sharedPaths: () => new Map(world.others(this).map(({ id, address }) => [id, address])),
        agreementChanged: () => void this.log.push('path'),
      }),
      ownAddresses: () => [this.address.address],
      plane: { setUnsealedSources: (_, sources) => void this.log.push(`take ${sources.length}`) },
      channel: {
        local: this.address,
        send: () => undefined,
        sendBy: (bytes, path) => {
          this.log.push('send');
          world.carry(this, Buffer.from(bytes), path);
        },
        onReceive: (receive) => (this.hear = receive),
      },
    });
    this.sealing = this.trusted.guard({
      setSendKey: () => void this.log.push('key'),
      clearSendKey: () => void this.log.push('no key'),
      addReceiveKey: () => undefined,
      removeReceiveKey: () => undefined,
    });
  }

  get member(): Member {
    const meta = encodeMemberMeta({
      ...{ version: '1.0.0', vxlanPort: 4789, partialChecksums: false, dualStack: true },
    });
    return {
      ...{ id: this.id, name: this.address.address, address: this.address, meta },
      ...{ incarnation: 1, state: 'alive', protocol: { min: 1, max: 1 } },
      ...{ since: asMillis(0), sinceWall: 0 },
      ...{ key: Uint8Array.from(this.identity.publicKey), signature: new Uint8Array(64) },
    };
  }
}

class World {
  readonly clock = new ManualClock(1000);
  readonly hosts: Host[] = [];
  /** As what a relay would hand up. */
  isRelaying = false;

  constructor(...subnets: readonly (readonly string[])[]) {
    for (const each of subnets) this.hosts.push(new Host(this, this.hosts.length, each));
  }

  others(host: Host): Host[] {
    return this.hosts.filter((each) => each !== host);
  }

  carry(from: Host, bytes: Buffer, { to }: PeerPath): void {
    const target = this.hosts.find(({ address }) => address.address === to.address);
    const source = this.isRelaying ? { ...from.address, via: { to } } : from.address;
    this.clock.after(asMillis(1), () => target?.hear(bytes, source));
  }

  /** What the daemon does when paths are known, and the messages that follow. */
  async agree(): Promise<readonly [Host, Host]> {
    for (const { trusted } of this.hosts) trusted.pathsChanged();
    await Promise.resolve();
    this.clock.advance(100);
    const [a, b] = this.hosts;
    if (a === undefined || b === undefined) throw new Error('two hosts were asked for');
    return [a, b];
  }
}

test('a host takes plain frames before it says so, and sends them when that was said', async (t) => {
  const [a, b] = await new World(ALL, ALL).agree();
  t.true(a.trusted.isAgreed(b.id, b.address));
  t.deepEqual(a.trusted.describe(b.id, 'b'), { isPlain: true, why: 'both ends trust 10.0.0.0/8' });
  // The first answer tells the challenge.
  t.deepEqual(b.log, ['send', 'send', 'send', 'take 1', 'send', 'path']);
});

test('a new key is not used before the path to its host is sealed', async (t) => {
  const world = new World(ALL, ALL);
  const [a, b] = await world.agree();
  a.log.length = 0;
  a.sealing.setSendKey(locatorOf(b.id), KEY);
  t.false(a.trusted.isAgreed(b.id, b.address));
  t.deepEqual(a.log, ['path', 'key']);
  world.clock.advance(1000);
  t.true(a.trusted.isAgreed(b.id, b.address));
  a.log.length = 0;
  a.sealing.clearSendKey(locatorOf(b.id));
  t.is(a.log[0], 'path');
});

test('what a relay brought, and who is expelled, agrees to nothing', async (t) => {
  const relayed = new World(ALL, ALL);
  relayed.isRelaying = true;
  const [a, b] = await relayed.agree();
  t.false(a.trusted.isAgreed(b.id, b.address));
  t.false(b.log.some((line) => line.startsWith('take')));

  const world = new World(ALL, ALL);
  for (const host of world.hosts) host.isExpelling = true;
  const [c, d] = await world.agree();
  t.false(c.trusted.isAgreed(d.id, d.address));
  t.deepEqual([c.log, d.log], [[], []]);
});

test('a host without trusted subnets says nothing of them, and tells who asks', async (t) => {
  const [a, b] = await new World(ALL, []).agree();
  t.is(b.trusted.describe(a.id, 'a'), undefined);
  t.deepEqual(b.trusted.subnets, []);
  t.deepEqual(a.trusted.subnets, ALL);
  t.deepEqual(a.trusted.describe(b.id, 'b'), {
    ...{ isPlain: false, why: 'b does not trust 10.0.0.1' },
  });
  t.deepEqual(b.log, ['send']);
});

import { seededRng } from '../../src/base/rng.ts';
import { asMillis, asPeerId, type PeerId } from '../../src/base/types.ts';
import { presets } from '../../src/gossip/config.ts';
import type { Instant } from '../../src/gossip/effects.ts';
import { Machine, type MachineSettings } from '../../src/gossip/machine.ts';
import type { Member, MemberRecord } from '../../src/gossip/member.ts';
import { signMember } from '../../src/gossip/signatures.ts';
import { FakeSignatures } from '../fakes/fake-signatures.ts';

export const WALL = Date.UTC(2026, 0, 1);

/** 32 times the same digit: an id that is easy to see in bytes. */
export const peerId = (digit: string): PeerId => asPeerId(digit.repeat(32));

export function record(digit: string, change: Partial<MemberRecord> = {}): MemberRecord {
  const description = {
    id: peerId(digit),
    name: `host-${digit}`,
    address: { address: `192.0.2.${parseInt(digit, 16)}`, port: 7783 },
    incarnation: 0,
    state: 'alive' as const,
    protocol: { min: 1, max: 1 },
    meta: new Uint8Array(),
    ...change,
  };
  return { ...signMember(description, new FakeSignatures(description.id)), ...change };
}

export function member(digit: string, change: Partial<Member> = {}): Member {
  return { ...record(digit, change), since: asMillis(0), sinceWall: WALL, ...change };
}

/** The instant `ms` after the start of a test. */
export const at = (ms: number): Instant => ({ now: asMillis(ms), wall: WALL + ms });

/** A machine of host `digit` in mesh `test`. */
export function machine(digit = '1', change: Partial<MachineSettings> = {}): Machine {
  const self = change.self ?? record(digit);
  const settings = {
    ...{ self, signatures: new FakeSignatures(self.id) },
    label: 'test',
    config: presets.lan,
    rng: seededRng(1),
    ...change,
  };
  return new Machine(settings, at(0));
}

import test from 'ava';
import { asMillis, asPeerId } from '../../src/base/types.ts';
import { encodeMemberMeta, memberKey, memberVtep } from '../../src/daemon/peers.ts';
import { hostIdOf } from '../../src/link/identity.ts';
import { KeyPair } from '../../src/link/noise/key-pair.ts';
import type { Member, MemberState } from '../../src/gossip/member.ts';

const member = (state: MemberState, meta: Uint8Array): Member => ({
  ...{ id: asPeerId('b'.repeat(32)), name: 'b', address: { address: '192.0.2.2', port: 7783 } },
  ...{ incarnation: 1, state, protocol: { min: 1, max: 1 }, meta },
  ...{ since: asMillis(0), sinceWall: 0 },
});
const meta = encodeMemberMeta({
  version: '1.0.0',
  vxlanPort: 4789,
  partialChecksums: false,
  dualStack: true,
});

test('a suspect keeps its VTEP; who is dead, has left or takes no VXLAN has none', (t) => {
  const vtep = { address: '192.0.2.2', port: 4789, meshPort: 7783 };
  t.deepEqual(memberVtep(member('alive', meta)), vtep);
  t.deepEqual(memberVtep(member('suspect', meta)), vtep);
  t.is(memberVtep(member('dead', meta)), undefined);
  t.is(memberVtep(member('left', meta)), undefined);
  t.is(memberVtep(member('alive', new Uint8Array())), undefined);
});

test('a key counts if the id proves it, whoever has gossiped it', (t) => {
  const [own, other] = [KeyPair.generate().publicKey, KeyPair.generate().publicKey];
  const says = (key: Uint8Array) =>
    encodeMemberMeta({
      version: '1.0.0',
      vxlanPort: 4789,
      partialChecksums: false,
      dualStack: true,
      key,
    });
  const withId = (key: Uint8Array) => ({ ...member('alive', says(key)), id: hostIdOf(own) });
  t.deepEqual(Buffer.from(memberKey(withId(own)) ?? []), own);
  t.is(memberKey(withId(other)), undefined);
  t.is(memberKey(withId(own.subarray(1))), undefined);
  t.is(memberKey({ ...member('alive', meta), id: hostIdOf(own) }), undefined);
});

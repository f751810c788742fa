import test from 'ava';
import { asMillis, asPeerId } from '../../src/base/types.ts';
import { encodeMemberMeta, memberVtep } from '../../src/daemon/peers.ts';
import type { Member, MemberState } from '../../src/gossip/member.ts';

const member = (state: MemberState, meta: Uint8Array): Member => ({
  ...{ id: asPeerId('b'.repeat(32)), name: 'b', address: { address: '192.0.2.2', port: 7783 } },
  ...{ incarnation: 1, state, protocol: { min: 1, max: 1 }, meta },
  ...{ key: new Uint8Array(32), signature: new Uint8Array(64) },
  ...{ since: asMillis(0), sinceWall: 0 },
});
const meta = encodeMemberMeta({
  version: '1.0.0',
  vxlanPort: 4789,
  partialChecksums: false,
  dualStack: true,
});

test('a suspect keeps its VTEP; who is dead, has left or takes no VXLAN has none', (t) => {
  const locator = 'fdbb:bbbb:bbbb:bbbb:bbbb:bbbb:bbbb:bbbb';
  const vtep = { address: '192.0.2.2', port: 4789, meshPort: 7783, locator };
  t.deepEqual(memberVtep(member('alive', meta)), vtep);
  t.deepEqual(memberVtep(member('suspect', meta)), vtep);
  t.is(memberVtep(member('dead', meta)), undefined);
  t.is(memberVtep(member('left', meta)), undefined);
  t.is(memberVtep(member('alive', new Uint8Array())), undefined);
});

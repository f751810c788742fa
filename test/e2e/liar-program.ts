/**
 * A member that has the mesh's keys and lies: it writes and deletes the row of another host's endpoint, makes one up
 * for that host, and tells that the host is at its own address, and that it has left.
 *
 *   node liar-program.js ADDRESS TARGET VICTIM     prints `lied` when all is told
 */
import assert from 'node:assert/strict';
import { openMember, PORT } from '../../bench/gossip/member.ts';
import type { PeerId } from '../../src/base/types.ts';
import { endpointKey } from '../../src/daemon/row-owners.ts';
import type { EndpointRecord } from '../../src/daemon/records.ts';
import { encodeClaim } from '../../src/gossip/cargo.ts';
import { encodeDatagramHead, encodeHeader } from '../../src/gossip/message.ts';

const [, , address = '', target = '', victim = ''] = process.argv;
const host = victim as PeerId;
const { mesh, gossip } = await openMember('liar', address);
// Without a rule of whose the rows are, which every daemon has.
const endpoints = mesh.table('endpoints', { validate: (value) => value as EndpointRecord });
mesh.start();

function lie(): void {
  const seen = endpoints.entries().find(({ value }) => value.host === host);
  const member = mesh.member(host);
  if (seen === undefined || member === undefined || mesh.members().length < 2) return;
  clearInterval(looking);
  const { key, value } = seen;
  endpoints.put(key, { ...value, address: '10.7.0.99/24' });
  endpoints.put(endpointKey({ host, id: 'made-up' }), { ...value, address: '10.7.0.98/24' });
  endpoints.remove(key);
  const elsewhere = { address, port: PORT };
  const head = encodeDatagramHead(encodeHeader(1, ''), mesh.self.id, { kind: 'news' });
  for (const claim of [
    { ...member, incarnation: member.incarnation + 1, address: elsewhere },
    { ...member, state: 'left' as const },
  ]) {
    const datagram = Buffer.concat([head, encodeClaim({ record: claim })]);
    for (const each of mesh.members()) gossip.send(datagram, each.address);
  }
  console.log('lied');
}

// What it lies about has to be known first.
const looking = setInterval(lie, 20);
const [outcome] = await mesh.join([{ address: target, port: PORT }]);
assert(outcome?.ok, 'the liar has joined');

/**
 * One member of a Weft mesh: the real driver on real sockets, sealed as a daemon's gossip is, and nothing else.
 *
 *   node member-program.js NAME ADDRESS [open]     joins each address that it reads from a line of its input,
 *                                                  and prints `ready`, `alive NAME`, `dead NAME`, …
 */
import { createInterface } from 'node:readline';
import { openMember, PORT } from './member.ts';

const [, , name = '', address = '', gossip = 'sealed'] = process.argv;
const { mesh } = await openMember(name, address, gossip === 'open');
mesh.onMember(({ member, previous }) => {
  if (member.state !== previous?.state) console.log(`${member.state} ${member.name}`);
});
mesh.start();
createInterface({ input: process.stdin }).on('line', (target) => {
  void mesh.join([{ address: target, port: PORT }]).then(([outcome]) => {
    if (outcome?.ok === false) console.log(`failed ${outcome.error.message}`);
  });
});
console.log('ready');

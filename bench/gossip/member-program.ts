/**
 * One member of a Weft mesh: the real driver on real sockets, and nothing else.
 *
 *   node member-program.js NAME ADDRESS     joins each address that it reads from a line of its input,
 *                                           and prints `ready`, `alive NAME`, `dead NAME`, …
 */
import { createInterface } from 'node:readline';
import { systemClock } from '../../src/base/clock.ts';
import { nullLogger } from '../../src/base/log.ts';
import { randomHex, systemRng } from '../../src/base/rng.ts';
import { asPeerId } from '../../src/base/types.ts';
import { DROP } from '../../src/dataplane/counters.ts';
import { MeshChannel } from '../../src/dataplane/portable/mesh-channel.ts';
import { presets } from '../../src/gossip/config.ts';
import { Mesh } from '../../src/gossip/driver.ts';
import { openTcpStream } from '../../src/underlay/stream-tcp.ts';
import { bindUdp } from '../../src/underlay/udp.ts';

const PORT = 7783;

const [, , name = '', address = ''] = process.argv;
const bound = { addresses: [address], port: PORT };
const drops = new Float64Array(Object.keys(DROP).length);
const mesh = new Mesh({
  self: { id: asPeerId(randomHex(systemRng, 32)), name, address: { address, port: PORT } },
  incarnation: 1,
  label: 'weft',
  config: presets.lan,
  seeds: [],
  datagrams: new MeshChannel(await bindUdp([address], PORT), drops),
  streams: await openTcpStream(bound, { clock: systemClock }),
  clock: systemClock,
  rng: systemRng,
  log: nullLogger,
});
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

/**
 * A tiny copier for the lab, run inside a namespace:
 *
 *   node transfer-program.js receive tcp|udp ADDRESS PORT            → "listening PORT", then "BYTES SHA256"
 *   node transfer-program.js send    tcp|udp ADDRESS PORT BYTES SEED → "BYTES SHA256"
 *
 * `receive` serves one transfer and ends. Over UDP the whole transfer is one datagram.
 */
import { createHash, type Hash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer, connect, isIPv6 } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { seededRng } from '../../src/base/rng.ts';

const CHUNK_BYTES = 64 * 1024;

function* seededChunks(total: number, seed: number): Generator<Buffer> {
  const rng = seededRng(seed);
  for (let made = 0; made < total; made += CHUNK_BYTES) {
    const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, total - made));
    for (let at = 0; at < chunk.length; at++) chunk[at] = rng.next() * 256;
    yield chunk;
  }
}

function report(bytes: number, hash: Hash): void {
  console.log(`${bytes} ${hash.digest('hex')}`);
}

function receiveTcp(address: string, port: number): void {
  const server = createServer((socket) => {
    const hash = createHash('sha256');
    let bytes = 0;
    socket.on('data', (chunk) => {
      bytes += chunk.length;
      hash.update(chunk);
    });
    socket.on('end', () => {
      report(bytes, hash);
      server.close();
    });
  });
  server.listen(port, address, () => console.log(`listening ${port}`));
}

function receiveUdp(address: string, port: number): void {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  socket.once('message', (message) => {
    report(message.length, createHash('sha256').update(message));
    socket.close();
  });
  socket.bind(port, address, () => console.log(`listening ${port}`));
}

async function sendTcp(address: string, port: number, bytes: number, seed: number): Promise<void> {
  const hash = createHash('sha256');
  const source = Readable.from(seededChunks(bytes, seed)).on('data', (chunk: Buffer) =>
    hash.update(chunk),
  );
  await pipeline(source, connect(port, address));
  report(bytes, hash);
}

function sendUdp(address: string, port: number, bytes: number, seed: number): void {
  const message = Buffer.concat([...seededChunks(bytes, seed)]);
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  socket.send(message, port, address, () => {
    report(bytes, createHash('sha256').update(message));
    socket.close();
  });
}

const [verb, protocol, address = '', port, bytes, seed] = process.argv.slice(2);
if (verb === 'receive' && protocol === 'tcp') receiveTcp(address, Number(port));
else if (verb === 'receive') receiveUdp(address, Number(port));
else if (protocol === 'tcp') await sendTcp(address, Number(port), Number(bytes), Number(seed));
else sendUdp(address, Number(port), Number(bytes), Number(seed));

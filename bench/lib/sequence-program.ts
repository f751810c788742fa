import { createSocket } from 'node:dgram';

/*
 * Counted datagrams: `sequence-program send ADDRESS PORT EVERY_MS` sends numbers from 1, and
 * `sequence-program receive ADDRESS PORT` tells, twice a second, how far it is: `at LAST lost COUNT worst MS`,
 * all since its start, where MS is the longest time without a datagram.
 */
const NUMBER_BYTES = 4;
const REPORT_MS = 500;

function send(address: string, port: number, everyMs: number): void {
  const socket = createSocket('udp4');
  let number = 0;
  setInterval(() => {
    const bytes = Buffer.alloc(NUMBER_BYTES);
    bytes.writeUInt32BE(++number);
    socket.send(bytes, port, address, () => undefined);
  }, everyMs);
}

function receive(address: string, port: number): void {
  const socket = createSocket('udp4');
  let [last, count, worst, before] = [0, 0, 0, 0];
  let first = 0;
  socket.on('message', (bytes) => {
    const now = performance.now();
    const number = bytes.readUInt32BE();
    if (first === 0) first = number;
    else worst = Math.max(worst, now - before);
    before = now;
    last = Math.max(last, number);
    count++;
  });
  socket.bind(port, address, () => process.stdout.write('listening\n'));
  setInterval(() => {
    const lost = first === 0 ? 0 : last - first + 1 - count;
    process.stdout.write(`at ${last} lost ${lost} worst ${Math.round(worst)}\n`);
  }, REPORT_MS);
}

const [role = '', address = '', port = '', every = ''] = process.argv.slice(2);
if (role === 'send') send(address, Number(port), Number(every));
else receive(address, Number(port));

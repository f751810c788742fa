import type { LabNamespace } from '../../bench/lib/lab.ts';

/** Where a datagram or connection goes. */
export interface Target {
  readonly address: string;
  readonly port: number;
}

/** Sends datagrams, given in hex, from a namespace; returns when all were handed over. */
export async function sendDatagrams(
  from: LabNamespace,
  { address, port }: Target,
  datagrams: readonly string[],
): Promise<void> {
  const program = `
    const socket = require('node:dgram').createSocket('udp4');
    let text = '';
    process.stdin.on('data', (chunk) => (text += chunk)).on('end', async () => {
      for (const hex of text.split('\\n')) {
        await new Promise((sent) => socket.send(Buffer.from(hex, 'hex'), ${port}, '${address}', sent));
      }
      socket.close();
    });`;
  await from.run(process.execPath, ['-e', program], { input: datagrams.join('\n') });
}

/** Sends `request` over a TCP connection from a namespace and returns all that comes back. */
export async function exchange(
  from: LabNamespace,
  { address, port }: Target,
  request: Uint8Array,
): Promise<Buffer> {
  const program = `
    const socket = require('node:net').connect(${port}, '${address}');
    const chunks = [];
    process.stdin.setEncoding('latin1').on('data', (hex) => socket.write(Buffer.from(hex, 'hex')));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('close', () => {
      process.stdout.write(Buffer.concat(chunks).toString('hex'), () => process.exit());
    });`;
  const input = Buffer.from(request).toString('hex');
  return Buffer.from(await from.run(process.execPath, ['-e', program], { input }), 'hex');
}

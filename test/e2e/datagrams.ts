import type { LabNamespace } from '../../bench/lib/lab.ts';

/** Sends datagrams, given in hex, from a namespace to a UDP port; returns when all were handed over. */
export async function sendDatagrams(
  from: LabNamespace,
  to: { readonly address: string; readonly port: number },
  datagrams: readonly string[],
): Promise<void> {
  const program = `
    const socket = require('node:dgram').createSocket('udp4');
    let text = '';
    process.stdin.on('data', (chunk) => (text += chunk)).on('end', async () => {
      for (const hex of text.split('\\n')) {
        await new Promise((sent) => socket.send(Buffer.from(hex, 'hex'), ${to.port}, '${to.address}', sent));
      }
      socket.close();
    });`;
  await from.run(process.execPath, ['-e', program], { input: datagrams.join('\n') });
}

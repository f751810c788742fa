import type { LabNamespace } from '../../bench/lib/lab.ts';

const LONG_MS = 20_000;

/** Answers each TCP connection and UDP datagram with its name, at both families. */
const SERVER = `
const [name, port] = process.argv.slice(1);
require('net').createServer((s) => s.end(name)).listen(+port, '::', () => {
  const udp = require('dgram').createSocket('udp6');
  udp.on('message', (_, from) => udp.send(name, from.port, from.address));
  udp.bind(+port, '::', () => console.log('listening'));
});`;

/** Prints what the server says, or nothing within a second. */
const CLIENT = `
const [protocol, host, port] = process.argv.slice(1);
setTimeout(() => process.exit(1), 1000);
if (protocol === 'tcp') {
  require('net').connect(+port, host).on('data', (b) => console.log(String(b))).on('end', () => process.exit())
    .on('error', () => process.exit(1));
} else {
  const udp = require('dgram').createSocket(host.includes(':') ? 'udp6' : 'udp4');
  udp.on('message', (b) => { console.log(String(b)); process.exit(); });
  udp.send('?', +port, host);
}`;

/** Has a program in a namespace, or in one that `enter` leads to from there, say its name at a port. */
export async function serve(
  sandbox: LabNamespace,
  name: string,
  port: number,
  enter: readonly string[] = [],
): Promise<void> {
  const [program = process.execPath, ...words] = [
    ...enter,
    ...[process.execPath, '-e', SERVER, name, String(port)],
  ];
  await sandbox.start(program, words).waitForLine(/listening/, LONG_MS);
}

/** What a server at a port says; empty if it says nothing within a second. */
export async function ask(
  from: LabNamespace,
  protocol: 'tcp' | 'udp',
  host: string,
  port: number,
): Promise<string> {
  const words = ['-e', CLIENT, protocol, host, String(port)];
  return (await from.tryRun(process.execPath, words)).stdout.trim();
}

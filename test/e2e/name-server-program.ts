import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import packet, { type Answer, type Packet } from 'dns-packet';

/*
 * Plays the host's own name server: `name-server-program ADDRESS`. It knows `away.example` and the name
 * of 198.51.100.7; everything else it has never heard of. Prints "listening" and then each question.
 */
const [, , address = ''] = process.argv;
const PORT = 53;
const NAME_ERROR = 3;

const RECORDS: readonly Answer[] = [
  { type: 'A', name: 'away.example', data: '198.51.100.7', ttl: 60 },
  { type: 'MX', name: 'away.example', data: { preference: 10, exchange: 'mail.away.example' } },
  { type: 'PTR', name: '7.100.51.198.in-addr.arpa', data: 'away.example' },
];

function answer({ id = 0, questions = [] }: Packet): Packet {
  const [question] = questions;
  console.log(`${question?.type} ${question?.name}`);
  const answers = RECORDS.filter(
    ({ name, type }) => name === question?.name.toLowerCase() && type === question.type,
  );
  const flags = packet.RECURSION_AVAILABLE | (answers.length === 0 ? NAME_ERROR : 0);
  return { type: 'response', id, flags, questions, answers };
}

const udp = createSocket('udp4');
udp.on('message', (bytes, { port, address: to }) => {
  udp.send(packet.encode(answer(packet.decode(bytes))), port, to);
});
const tcp = createServer((connection) => {
  connection.on('data', (bytes: Buffer) => {
    connection.end(packet.streamEncode(answer(packet.streamDecode(bytes))));
  });
});
udp.bind(PORT, address, () => tcp.listen(PORT, address, () => console.log('listening')));

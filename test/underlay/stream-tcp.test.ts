import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import { asMillis } from '../../src/base/types.ts';
import { lengthPrefix } from '../../src/underlay/stream-message.ts';
import {
  openTcpStream,
  type TcpStreamOptions,
  type TcpStreamTransport,
} from '../../src/underlay/stream-tcp.ts';
import { MAX_STREAM_MESSAGE_BYTES } from '../../src/underlay/stream.ts';
import { ManualClock } from '../fakes/manual-clock.ts';
import { until } from '../fakes/until.ts';

const TIMEOUT = asMillis(20_000);

async function open(
  t: ExecutionContext,
  options: Partial<TcpStreamOptions> = {},
  clock = systemClock,
): Promise<TcpStreamTransport> {
  const transport = await openTcpStream(
    { addresses: ['127.0.0.1'], port: 0, ...options },
    { clock },
  );
  t.teardown(() => transport.close());
  return transport;
}

async function dial(t: ExecutionContext, to: TcpStreamTransport): Promise<Socket> {
  const socket = connect({ host: to.local.address, port: to.local.port });
  socket.on('error', () => socket.destroy());
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** Settles when the connection is over, reset or not (`once` would reject for a reset). */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => void socket.once('close', () => resolve()));
}

/** A peer that does to each connection what `behave` says. */
async function rawPeer(t: ExecutionContext, behave: (socket: Socket) => void) {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    t.teardown(() => socket.destroy());
    behave(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return { address: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

for (const address of ['127.0.0.1', '::1']) {
  test(`a request over ${address} gets its answer`, async (t) => {
    const [asker, server] = [await open(t), await open(t, { addresses: [address] })];
    let sender = '';
    server.onRequest((request, from) => {
      sender = from.address;
      return Buffer.from(`got ${request.toString()}`);
    });
    const answer = await asker.exchange(server.local, Buffer.from('this'), TIMEOUT);
    t.is(answer.toString(), 'got this');
    t.is(sender, address);
    t.is(server.counters.answered, 1);
    await until(() => server.inbound === 0, 'the connection is closed');
  });
}

test('empty and large messages cross whole', async (t) => {
  const [asker, server] = [await open(t), await open(t)];
  server.onRequest((request) => request);
  t.is((await asker.exchange(server.local, Buffer.alloc(0), TIMEOUT)).length, 0);
  const large = Buffer.alloc(MAX_STREAM_MESSAGE_BYTES, 'weft');
  t.true((await asker.exchange(server.local, large, TIMEOUT)).equals(large));
});

test('many exchanges at once keep their answers apart', async (t) => {
  const [asker, server] = [await open(t), await open(t)];
  server.onRequest((request) => request);
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, index) =>
      asker.exchange(server.local, Buffer.from(`request ${index}`), TIMEOUT),
    ),
  );
  t.deepEqual(
    answers.map(String),
    answers.map((_, index) => `request ${index}`),
  );
});

test('a closed port, a silent peer, an early close and a long answer each have a sentence', async (t) => {
  const clock = new ManualClock();
  const asker = await open(t, {}, clock);
  const gone = await open(t);
  await gone.close();
  await t.throwsAsync(asker.exchange(gone.local, Buffer.from('?'), TIMEOUT), {
    code: 'E_JOIN_UNREACHABLE',
    message: new RegExp(`^127\\.0\\.0\\.1:${gone.local.port} refused the connection.*ECONNREFUSED`),
  });

  let connections = 0;
  const silent = await rawPeer(t, () => connections++);
  const waiting = asker.exchange(silent, Buffer.from('?'), asMillis(5000));
  await until(() => connections === 1, 'the silent peer has the connection');
  clock.advance(5000);
  await t.throwsAsync(waiting, {
    code: 'E_JOIN_UNREACHABLE',
    message: /did not answer within 5000 ms/,
  });
  t.is(clock.pendingTimers, 0);

  const curt = await rawPeer(t, (socket) => socket.resume().end());
  await t.throwsAsync(asker.exchange(curt, Buffer.from('?'), TIMEOUT), {
    code: 'E_JOIN_UNREACHABLE',
    message: /closed the connection before it answered|cut the connection/,
  });

  const babbler = await rawPeer(t, (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n'));
  await t.throwsAsync(asker.exchange(babbler, Buffer.from('?'), TIMEOUT), {
    code: 'E_JOIN_UNREACHABLE',
    message: /sent nonsense: a message of 1213486160 bytes.*1048576/,
  });
});

test('a request over the limit is not sent', async (t) => {
  const [asker, server] = [await open(t), await open(t)];
  const tooLong = Buffer.alloc(MAX_STREAM_MESSAGE_BYTES + 1);
  await t.throwsAsync(asker.exchange(server.local, tooLong, TIMEOUT), {
    code: 'E_JOIN_UNREACHABLE',
    message: /was not asked: a message of 1048577 bytes/,
  });
  t.is(server.inbound, 0);
});

test('no answer, or an answer over the limit, closes the connection', async (t) => {
  const [asker, server] = [await open(t), await open(t)];
  for (const answer of [undefined, Buffer.alloc(MAX_STREAM_MESSAGE_BYTES + 1)]) {
    server.onRequest(() => answer);
    await t.throwsAsync(asker.exchange(server.local, Buffer.from('?'), TIMEOUT), {
      code: 'E_JOIN_UNREACHABLE',
    });
  }
  t.is(server.counters.unanswered, 2);
});

test('a garbage length is closed and counted, and the next peer is served', async (t) => {
  const [asker, server] = [await open(t), await open(t)];
  server.onRequest((request) => request);
  const socket = await dial(t, server);
  socket.write('GET / HTTP/1.1\r\n\r\n');
  await closed(socket);
  t.is(server.counters.refusedLength, 1);
  t.is(String(await asker.exchange(server.local, Buffer.from('well'), TIMEOUT)), 'well');
});

test('a peer that leaves halfway is counted and forgotten', async (t) => {
  const server = await open(t);
  const socket = await dial(t, server);
  socket.end(Buffer.concat([lengthPrefix(10), Buffer.from('half')]));
  await until(() => server.counters.brokenOff === 1, 'the broken request is counted');
  t.is(server.inbound, 0);
});

test('a peer that trickles loses its place at the deadline', async (t) => {
  const clock = new ManualClock();
  const server = await open(t, { inboundTimeout: asMillis(1000) }, clock);
  const socket = await dial(t, server);
  await until(() => server.inbound === 1, 'the connection is taken');
  clock.advance(999);
  socket.write(lengthPrefix(5));
  t.is(server.inbound, 1);
  clock.advance(1);
  await closed(socket);
  t.is(server.counters.timedOut, 1);
  await until(() => server.inbound === 0, 'its place is free');
});

test('connections over the bound are closed unread', async (t) => {
  const server = await open(t, { maxInbound: 3 });
  for (let index = 0; index < 3; index++) await dial(t, server);
  await until(() => server.inbound === 3, 'three connections are taken');
  const fourth = await dial(t, server);
  await closed(fourth);
  t.is(server.counters.refusedBusy, 1);
  t.is(server.inbound, 3);
});

test('unfinished requests share one memory bound', async (t) => {
  const server = await open(t, { maxInboundBytes: 100_000 });
  const sockets = [await dial(t, server), await dial(t, server)];
  for (const socket of sockets) {
    socket.write(Buffer.concat([lengthPrefix(1_000_000), Buffer.alloc(60_000)]));
  }
  await Promise.race(sockets.map((socket) => closed(socket)));
  t.is(server.counters.refusedMemory, 1);
  await until(() => server.inbound === 1, 'the other keeps its place');
});

test('close ends exchanges and connections, and frees the port at once', async (t) => {
  const server = await open(t);
  const inbound = await dial(t, server);
  const silent = await rawPeer(t, () => undefined);
  const rejected = t.throwsAsync(server.exchange(silent, Buffer.from('?'), TIMEOUT), {
    code: 'E_JOIN_UNREACHABLE',
  });
  await until(() => server.inbound === 1, 'the connection is taken');
  const ended = closed(inbound);
  await Promise.all([server.close(), server.close(), rejected, ended]);
  await t.throwsAsync(server.exchange(silent, Buffer.from('?'), TIMEOUT), {
    message: /stopping/,
  });
  const again = await open(t, { port: server.local.port });
  t.is(again.local.port, server.local.port);
});

test('a TCP port in use is an E_BIND', async (t) => {
  const { local } = await open(t);
  await t.throwsAsync(open(t, { port: local.port }), {
    code: 'E_BIND',
    message: new RegExp(`TCP port ${local.port} on 127\\.0\\.0\\.1: it is in use`),
  });
});

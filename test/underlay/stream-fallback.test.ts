import { createServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { systemClock, type Clock } from '../../src/base/clock.ts';
import { AppError } from '../../src/base/errors.ts';
import { seededRng } from '../../src/base/rng.ts';
import { asMillis, type Millis, type SocketAddress } from '../../src/base/types.ts';
import { DatagramStreamTransport } from '../../src/underlay/stream-datagrams.ts';
import { FallbackStreams } from '../../src/underlay/stream-fallback.ts';
import { openTcpStream } from '../../src/underlay/stream-tcp.ts';
import {
  NotConnectedError,
  type ConnectingTransport,
  type StreamTransport,
} from '../../src/underlay/stream.ts';
import { ManualClock } from '../fakes/manual-clock.ts';
import { DatagramWorld } from './datagram-world.ts';

const A = { address: '192.0.2.1', port: 7783 };
const B = { address: '192.0.2.2', port: 7783 };
const TIMEOUT = asMillis(5000);
const REQUEST = Buffer.from('?');

/** A transport that does what it is told to, and notes how it was asked. */
function scripted(behave: () => Promise<Buffer>) {
  const calls: { to: SocketAddress; timeout: Millis; connectWithin: Millis | undefined }[] = [];
  const transport: ConnectingTransport & StreamTransport = {
    local: A,
    exchange: (to, _request, timeout, connectWithin?: Millis) => {
      calls.push({ to, timeout, connectWithin });
      return behave();
    },
    onRequest: () => undefined,
    close: () => Promise.resolve(),
  };
  return { calls, transport };
}

function fallback(tcpBehaves: (clock: ManualClock) => Promise<Buffer>) {
  const clock = new ManualClock();
  const tcp = scripted(() => tcpBehaves(clock));
  const datagrams = scripted(() => Promise.resolve(Buffer.from('over datagrams')));
  const members = new Set([B.address]);
  const streams = new FallbackStreams({
    ...{ tcp: tcp.transport, datagrams: datagrams.transport, clock },
    mayFallBack: ({ address }) => members.has(address),
  });
  return { clock, tcp, datagrams, streams };
}

test('what TCP answers is taken, and datagrams are left alone', async (t) => {
  const { tcp, datagrams, streams } = fallback(() => Promise.resolve(Buffer.from('over TCP')));
  t.is((await streams.exchange(B, REQUEST, TIMEOUT)).toString(), 'over TCP');
  t.deepEqual(tcp.calls, [{ to: B, timeout: TIMEOUT, connectWithin: asMillis(800) }]);
  t.deepEqual(datagrams.calls, []);
});

test('where TCP does not connect, datagrams have what is left of the time; for a minute at once', async (t) => {
  const { clock, tcp, datagrams, streams } = fallback((time) => {
    time.advance(800);
    return Promise.reject(new NotConnectedError('no'));
  });
  t.is((await streams.exchange(B, REQUEST, TIMEOUT)).toString(), 'over datagrams');
  t.is(datagrams.calls[0]?.timeout, asMillis(4200));
  await streams.exchange(B, REQUEST, TIMEOUT);
  t.is(tcp.calls.length, 1);
  t.is(datagrams.calls[1]?.timeout, TIMEOUT);
  clock.advance(60_000);
  await streams.exchange(B, REQUEST, TIMEOUT);
  t.is(tcp.calls.length, 2);
});

test('a request that may have arrived is not repeated', async (t) => {
  const error = new AppError('E_JOIN_UNREACHABLE', 'closed early');
  const { datagrams, streams } = fallback(() => Promise.reject(error));
  t.is(await t.throwsAsync(streams.exchange(B, REQUEST, TIMEOUT)), error);
  t.deepEqual(datagrams.calls, []);
});

test('who is no member is asked by TCP alone, with all the time', async (t) => {
  const error = new NotConnectedError('refused');
  const { tcp, datagrams, streams } = fallback(() => Promise.reject(error));
  t.is(await t.throwsAsync(streams.exchange(A, REQUEST, TIMEOUT)), error);
  t.deepEqual(tcp.calls, [{ to: A, timeout: TIMEOUT, connectWithin: undefined }]);
  t.deepEqual(datagrams.calls, []);
});

async function realTcp(t: ExecutionContext, clock: Clock = systemClock) {
  const transport = await openTcpStream({ addresses: ['127.0.0.1'], port: 0 }, { clock });
  t.teardown(() => transport.close());
  return transport;
}

test('TCP says whether it had connected', async (t) => {
  const asker = await realTcp(t);
  const refusing = { address: '127.0.0.1', port: 1 };
  await t.throwsAsync(asker.exchange(refusing, REQUEST, TIMEOUT), {
    instanceOf: NotConnectedError,
    message: /refused the connection/,
  });
  const server = createServer((socket: Socket) => void socket.destroy());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const closing = { address: '127.0.0.1', port: (server.address() as AddressInfo).port };
  const error = await t.throwsAsync(asker.exchange(closing, REQUEST, TIMEOUT));
  t.false(error instanceof NotConnectedError);
});

test('TCP that has not connected in time gives up, and says that it had not', async (t) => {
  const clock = new ManualClock();
  const [asker, server] = [await realTcp(t, clock), await realTcp(t)];
  const answer = asker.exchange(server.local, REQUEST, TIMEOUT, asMillis(50));
  // Before the event loop had a chance to hear of the connection.
  clock.advance(50);
  const error = await t.throwsAsync(answer, { message: /did not answer within 50 ms/ });
  t.true(error instanceof NotConnectedError);
});

test('over both: the request goes through where no TCP listens', async (t) => {
  const clock = new ManualClock();
  const world = new DatagramWorld(clock, seededRng(1));
  const [asker, server] = [A, B].map(
    (address) => new DatagramStreamTransport(world.channel(address), { clock }),
  ) as [DatagramStreamTransport, DatagramStreamTransport];
  const dead = scripted(() => Promise.reject(new NotConnectedError('no')));
  const options = { tcp: dead.transport, mayFallBack: () => true, clock };
  const one = new FallbackStreams({ ...options, datagrams: asker });
  const other = new FallbackStreams({ ...options, datagrams: server });
  other.onRequest((request) => Buffer.concat([request, Buffer.from('!')]));
  const answer = one.exchange(B, REQUEST, TIMEOUT);
  const state = { isOver: false };
  void answer.then(() => (state.isOver = true));
  for (let step = 0; step < 100 && !state.isOver; step++) {
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(1);
  }
  t.is((await answer).toString(), '?!');
  await Promise.all([one.close(), other.close()]);
});

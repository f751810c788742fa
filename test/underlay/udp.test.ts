import { once } from 'node:events';
import { createSocket } from 'node:dgram';
import test from 'ava';
import { bindUdp, type UdpSocket } from '../../src/underlay/udp.ts';

interface Received {
  readonly bytes: Buffer;
  readonly address: string;
  readonly port: number;
}

function nextDatagram(socket: UdpSocket): Promise<Received> {
  return new Promise((resolve) => {
    socket.onReceive((bytes, address, port) => resolve({ bytes, address, port }));
  });
}

function send(from: UdpSocket, text: string, address: string, port: number): Promise<Error | null> {
  const bytes = Buffer.from(`[${text}]`);
  return new Promise((resolve) => {
    from.send(bytes, 1, bytes.length - 1, address, port, resolve);
  });
}

for (const address of ['127.0.0.1', '::1']) {
  test(`a datagram crosses ${address} and names its sender`, async (t) => {
    const [[sender], [receiver]] = await Promise.all([
      bindUdp([address], 0),
      bindUdp([address], 0),
    ]);
    t.teardown(() => Promise.all([sender.close(), receiver.close()]));
    const arrival = nextDatagram(receiver);
    t.is(await send(sender, 'hello', address, receiver.local.port), null);
    const { bytes, ...from } = await arrival;
    t.is(bytes.toString(), 'hello');
    t.deepEqual(from, sender.local);
    t.is(sender.queuedBytes(), 0);
    t.true(sender.receiveBufferBytes > 0);
  });
}

test('both wildcards share a port and keep the families apart', async (t) => {
  const [v4, v6] = await bindUdp(['0.0.0.0', '::'], 0);
  t.teardown(() => Promise.all([v4.close(), v6?.close()]));
  t.is(v4.local.address, '0.0.0.0');
  if (v6 === undefined) {
    t.log('this kernel has no IPv6: :: was left out');
    return;
  }
  t.deepEqual(v6.local, { address: '::', port: v4.local.port });
  const arrivals = [nextDatagram(v4), nextDatagram(v6)];
  await send(v4, 'four', '127.0.0.1', v4.local.port);
  await send(v6, 'six', '::1', v4.local.port);
  const [first, second] = await Promise.all(arrivals);
  t.is(first?.address, '127.0.0.1');
  t.is(second?.address, '::1');
});

test('a port in use is an E_BIND that names address and port', async (t) => {
  const [holder] = await bindUdp(['127.0.0.1'], 0);
  t.teardown(() => holder.close());
  const { port } = holder.local;
  await t.throwsAsync(bindUdp(['127.0.0.1'], port), {
    code: 'E_BIND',
    message: new RegExp(`UDP port ${port} on 127\\.0\\.0\\.1: it is in use`),
  });
});

test('an address of no interface is an E_BIND', async (t) => {
  await t.throwsAsync(bindUdp(['192.0.2.77'], 0), { code: 'E_BIND', message: /EADDRNOTAVAIL/ });
});

test('a port is free as soon as close settles, and closing twice is harmless', async (t) => {
  const [first] = await bindUdp(['127.0.0.1'], 0);
  await Promise.all([first.close(), first.close()]);
  const [second] = await bindUdp(['127.0.0.1'], first.local.port);
  t.is(second.local.port, first.local.port);
  await second.close();
});

test('sends that cannot be made report an error and never throw', async (t) => {
  const [socket] = await bindUdp(['127.0.0.1'], 0);
  t.truthy(await send(socket, 'to port 0', '127.0.0.1', 0));
  t.truthy(await send(socket, 'to port 65536', '127.0.0.1', 65_536));
  t.truthy(await send(socket, 'to nowhere', 'not an address', 1));
  t.truthy(await send(socket, 'x'.repeat(70_000), '127.0.0.1', 9));
  await socket.close();
  t.truthy(await send(socket, 'too late', '127.0.0.1', 9));
  t.is(socket.queuedBytes(), 0);
});

test('a socket without a receiver drains what arrives', async (t) => {
  const [deaf] = await bindUdp(['127.0.0.1'], 0);
  const other = createSocket('udp4');
  t.teardown(async () => {
    await deaf.close();
    other.close();
  });
  other.send('unheard', deaf.local.port, '127.0.0.1');
  await once(other, 'listening');
  const arrival = nextDatagram(deaf);
  other.send('heard', deaf.local.port, '127.0.0.1');
  t.regex((await arrival).bytes.toString(), /heard$/);
});

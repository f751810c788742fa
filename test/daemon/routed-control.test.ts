import test from 'ava';
import { asPeerId, type PeerPath, type SocketAddress } from '../../src/base/types.ts';
import { arrivedFrom, RoutedControl } from '../../src/daemon/routed-control.ts';
import { tagOf } from '../../src/link/locator.ts';
import { wrapRelayed } from '../../src/link/relayed.ts';
import type { DatagramReceive } from '../../src/underlay/datagram.ts';

const [SELF, B] = ['a', 'b'].map((letter) => asPeerId(letter.repeat(32)));
const at = (address: string): SocketAddress => ({ address, port: 7783 });

function world() {
  const sent: [string, SocketAddress][] = [];
  const relayed: [string, PeerPath][] = [];
  const got: [string, SocketAddress][] = [];
  const underlay: { receive?: DatagramReceive } = {};
  const path: { toB: PeerPath } = { toB: { to: at('203.0.113.2') } };
  const routed = new RoutedControl({
    self: SELF ?? asPeerId(''),
    control: {
      local: at('192.0.2.1'),
      send: (bytes, to) => sent.push([Buffer.from(bytes).toString(), to]),
      onReceive: (receive) => (underlay.receive = receive),
    },
    plane: {
      sendRelayed: (bytes, by) => relayed.push([Buffer.from(bytes).toString('latin1'), by]),
    },
  });
  routed.onReceive((bytes, from) => got.push([bytes.toString(), from]));
  routed.followPaths({
    hostAt: ({ address }) => (address === '192.0.2.2' ? B : undefined),
    pathTo: () => path.toB,
    announcedBy: (tag) => (B !== undefined && tag === tagOf(B) ? at('192.0.2.2') : undefined),
  });
  return { routed, sent, relayed, got, underlay, path };
}

test('what is for a host goes by its path, and what is for nobody known goes as it is', (t) => {
  const { routed, sent, relayed, path } = world();
  routed.send(Buffer.from('x'), at('192.0.2.2'));
  routed.send(Buffer.from('y'), at('198.51.100.1'));
  t.deepEqual(sent, [
    ['x', at('203.0.113.2')],
    ['y', at('198.51.100.1')],
  ]);
  path.toB = { to: at('192.0.2.3'), relayTag: 7n };
  routed.send(Buffer.from('z'), at('192.0.2.2'));
  const wrapped = wrapRelayed(tagOf(SELF ?? asPeerId('')), Buffer.from('z')).toString('latin1');
  t.deepEqual(relayed, [[wrapped, path.toB]]);
});

test('what a relay brought is answered by that relay, though the path to its sender is another', (t) => {
  const { routed, sent, relayed, got, underlay } = world();
  underlay.receive?.(wrapRelayed(tagOf(B ?? asPeerId('')), Buffer.from('hello')), at('192.0.2.3'));
  const [[text, from] = ['', at('')]] = got;
  t.is(text, 'hello');
  t.like(from, at('192.0.2.2'));
  t.deepEqual(arrivedFrom(from), at('192.0.2.3'));
  routed.send(Buffer.from('answer'), from);
  t.deepEqual(relayed[0]?.[1], { to: at('192.0.2.3'), relayTag: tagOf(B ?? asPeerId('')) });
  t.deepEqual(sent, []);
});

test('a sender that no live host has the tag of is refused, and counted', (t) => {
  const { routed, got, underlay } = world();
  underlay.receive?.(wrapRelayed(99n, Buffer.from('hello')), at('192.0.2.3'));
  t.deepEqual(got, []);
  t.deepEqual(routed.counters(), { relayedStranger: 1 });
});

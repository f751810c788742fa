import test from 'ava';
import { isControlKind, isHandshakeKind } from '../../src/dataplane/mesh-kind.ts';

test('0x01 to 0x1f are control and nothing else is, VXLAN least of all', (t) => {
  const control = Array.from({ length: 256 }, (_, byte) => byte).filter(isControlKind);
  t.deepEqual(
    control,
    Array.from({ length: 31 }, (_, index) => index + 1),
  );
});

test('of those, 0x10 to 0x1f are handshakes', (t) => {
  const kinds = Array.from({ length: 256 }, (_, byte) => byte).filter(isHandshakeKind);
  t.deepEqual([kinds[0], kinds.at(-1), kinds.length], [0x10, 0x1f, 16]);
});

import test from 'ava';
import { isControlKind } from '../../src/dataplane/mesh-kind.ts';

test('0x01 to 0x0f are control and nothing else is, VXLAN least of all', (t) => {
  const control = Array.from({ length: 256 }, (_, byte) => byte).filter(isControlKind);
  t.deepEqual(
    control,
    Array.from({ length: 15 }, (_, index) => index + 1),
  );
});

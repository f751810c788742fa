import test from 'ava';
import { controlKindOf, isControlKind } from '../../src/dataplane/mesh-kind.ts';

const BYTES = Array.from({ length: 256 }, (_, byte) => byte);
const range = (first: number, last: number): number[] =>
  BYTES.filter((byte) => byte >= first && byte <= last);

test('0x01 to 0x1f and 0x40 to 0x6f are control and nothing else is', (t) => {
  t.deepEqual(BYTES.filter(isControlKind), [...range(0x01, 0x1f), ...range(0x40, 0x6f)]);
});

test('each kind of control has its own first bytes', (t) => {
  const of = (kind: string): number[] => BYTES.filter((byte) => controlKindOf(byte) === kind);
  t.deepEqual(of('gossip'), range(0x01, 0x0f));
  t.deepEqual(of('handshakes'), range(0x10, 0x1f));
  t.deepEqual(of('envelope'), range(0x40, 0x4f));
  t.deepEqual(of('pathProbes'), range(0x50, 0x53));
  t.deepEqual(of('trust'), range(0x54, 0x57));
  t.deepEqual(of('mtuProbes'), range(0x58, 0x5f));
  t.deepEqual(of('exchanges'), range(0x60, 0x6f));
});

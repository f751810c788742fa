import test, { type ExecutionContext } from 'ava';
import type { EnvelopeKey } from '../../../src/dataplane/dataplane.ts';
import { createNativeDataPlane } from '../../../src/dataplane/native/native-data-plane.ts';
import { Keyring } from '../../../src/link/keyring.ts';
import { drops, rawPeer } from '../../contract/hosts.ts';
import { until } from '../../fakes/until.ts';
import { Wire } from '../../link/envelope-world.ts';

/** Control by a relay (docs/adr/0051). */
const RELAYED = Buffer.from('520102030405060708', 'hex');
/** Of what proves nothing, at once, and a second later. */
const BURST = 200;
const RATE = 100;

/** A datagram and the two greetings that it leads to, as two hosts of a mesh send them. */
function sealed(keyring?: Keyring): Buffer[] {
  const wire = new Wire();
  const [a, b] = [wire.add(keyring), wire.add(keyring)];
  a.say('news', b);
  return wire.log.map(({ bytes }) => bytes);
}

async function scene(t: ExecutionContext, threads = 1) {
  const options = { addresses: ['127.0.0.1'], meshPort: 0, vxlanPort: 0, fastPath: 'off' } as const;
  const plane = createNativeDataPlane({ ...options, threads });
  t.teardown(() => plane.close());
  const peer = await rawPeer(t, '127.0.0.8');
  const heard: Buffer[] = [];
  plane.control.onReceive((bytes) => heard.push(Buffer.from(bytes)));
  const send = (bytes: Uint8Array): Promise<void> => peer.send(bytes, plane.meshAddress);
  const isHeard = (wanted: Buffer): boolean => heard.some((bytes) => bytes.equals(wanted));
  return { plane, heard, send, isHeard };
}

const keysOf = (keyring?: Keyring): readonly EnvelopeKey[] =>
  new Wire().add(keyring).envelope.keys();

for (const threads of [1, 2]) {
  test(`control that nobody of the mesh has sealed goes up a little at a time, the rest as it comes; ${threads} threads`, async (t) => {
    const { plane, heard, send, isHeard } = await scene(t, threads);
    const bare = Buffer.from([0x01, 0xff]);
    await send(bare);
    await until(() => isHeard(bare), 'a bare datagram is heard before keys are known');

    plane.setEnvelopeKeys?.(keysOf());
    heard.length = 0;
    const started = performance.now();
    const foreign = sealed(Keyring.create(Buffer.alloc(32, 8)));
    const [right] = sealed() as [Buffer];
    const wrong = Buffer.from(right);
    wrong[right.length - 1]! ^= 1;
    const unproven = [...foreign, wrong, bare, Buffer.from([0x40]), RELAYED, Buffer.alloc(9, 0x52)];
    const floods = 100;
    for (let count = 0; count < floods; count++) {
      for (const bytes of unproven) {
        await send(bytes);
        await send(Buffer.concat([RELAYED, bytes]));
      }
    }
    const proven = sealed();
    for (const bytes of proven) {
      await send(bytes);
      await send(Buffer.concat([RELAYED, bytes]));
    }
    await until(
      () => proven.every((bytes) => isHeard(bytes) && isHeard(Buffer.concat([RELAYED, bytes]))),
      'all that is sealed is heard',
    );
    const sent = floods * unproven.length * 2;
    const shed = (): number => drops(plane).mesh_envelope_shed ?? 0;
    await until(() => heard.length - proven.length * 2 + shed() === sent, 'the flood is over');
    const passed = sent - shed();
    const most = threads * (BURST + ((performance.now() - started) / 1000) * RATE + 1);
    t.true(passed >= BURST && passed <= most, `${passed} of ${most}`);
    t.deepEqual(drops(plane), { mesh_envelope_shed: sent - passed });
  });
}

test('a mesh that changes its keys is known by the new ones', async (t) => {
  const { plane, heard, send, isHeard } = await scene(t);
  const other = Keyring.create(Buffer.alloc(32, 9));
  plane.setEnvelopeKeys?.(keysOf());
  plane.setEnvelopeKeys?.(keysOf(other));
  for (let count = 0; count < 2 * BURST; count++) await send(Buffer.from([0x01, count & 0xff]));
  const [late] = sealed() as [Buffer];
  await send(late);
  const proven = sealed(other);
  for (const bytes of proven) await send(bytes);
  await until(() => proven.every(isHeard), 'what the new key sealed is heard');
  t.true(heard.length < 2 * BURST);
});

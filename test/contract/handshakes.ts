import { createHmac } from 'node:crypto';
import type { ExecutionContext } from 'ava';
import type { DataPlane } from '../../src/dataplane/dataplane.ts';
import { until } from '../fakes/until.ts';
import { type Contract, drops, type Lab, rawPeer, type RawPeer } from './hosts.ts';

const KEY = Buffer.alloc(32, 7);
const OTHER_KEY = Buffer.alloc(32, 8);
const INITIATION = 0x10;
const RESPONSE = 0x11;
const CONFIRMATION = 0x13;
/** Control by a relay (docs/adr/0051). */
const RELAYED = Buffer.from('520102030405060708', 'hex');
/** What one source may send at once, and a second later. */
const SOURCE_BURST = 200;
const SOURCE_RATE = 100;

/** As long as an initiation, with its number in it, and mac1 made with `key`. */
function handshake(kind: number, number: number, key: Buffer): Buffer {
  const signed = Buffer.alloc(117, kind);
  signed.writeUInt32BE(number, 4);
  const mac = createHmac('blake2s256', key).update(signed).digest().subarray(0, 16);
  return Buffer.concat([signed, mac, Buffer.alloc(16)]);
}

interface Scene {
  readonly plane: DataPlane;
  readonly peer: RawPeer;
  /** What went up. */
  readonly heard: Buffer[];
  readonly send: (bytes: Uint8Array) => Promise<void>;
  /** Returns when all that was sent before has been dealt with. */
  readonly settle: () => Promise<void>;
}

async function scene(t: ExecutionContext, lab: Lab): Promise<Scene> {
  const plane = await lab.plane(t, '127.0.0.1');
  const peer = await rawPeer(t, '127.0.0.8');
  const heard: Buffer[] = [];
  plane.control.onReceive((bytes) => heard.push(Buffer.from(bytes)));
  const send = (bytes: Uint8Array): Promise<void> => peer.send(bytes, plane.meshAddress);
  let settled = 0;
  return {
    ...{ plane, peer, heard, send },
    settle: async () => {
      // Gossip's kind passes the gate, and nothing overtakes it.
      const last = Buffer.from([1, ++settled]);
      await send(last);
      await until(() => heard.some((bytes) => bytes.equals(last)), 'the last datagram is heard');
    },
  };
}

const isHandshake = (bytes: Buffer): boolean => bytes[0] !== 1;

/** What of handshakes goes up to the control plane (docs/adr/0065). */
export function handshakeContract(test: Contract, lab: Lab): void {
  test('initiations and responses that no member made for this host do not go up', async (t) => {
    const { plane, heard, send, settle } = await scene(t, lab);
    const [foreign, right] = [OTHER_KEY, KEY].map((key) =>
      [INITIATION, RESPONSE].map((kind) => handshake(kind, 1, key)),
    ) as [Buffer[], Buffer[]];
    const confirmation = Buffer.alloc(24, CONFIRMATION);
    for (const bytes of foreign) await send(bytes);
    await settle();
    t.deepEqual(heard.filter(isHandshake), foreign, 'no keys are known yet');
    heard.length = 0;
    plane.setHandshakeKeys([KEY]);
    const short = right[0]!.subarray(0, 39);
    for (const bytes of [...foreign, short, ...right, confirmation]) await send(bytes);
    await settle();
    t.deepEqual(heard.filter(isHandshake), [...right, confirmation]);
    t.deepEqual(drops(plane), { mesh_handshake_foreign: 3 });
  });

  test('a relay in between makes no difference to handshakes', async (t) => {
    const { plane, heard, send, settle } = await scene(t, lab);
    plane.setHandshakeKeys([OTHER_KEY, KEY]);
    const by = (key: Buffer): Buffer => Buffer.concat([RELAYED, handshake(INITIATION, 1, key)]);
    await send(by(Buffer.alloc(32)));
    await send(by(KEY));
    await send(RELAYED);
    await settle();
    t.deepEqual(heard.filter(isHandshake), [by(KEY), RELAYED]);
    t.deepEqual(drops(plane), { mesh_handshake_foreign: 1 });
  });

  test('of handshakes of one source so many go up, and what proves nothing takes no others place', async (t) => {
    const { plane, heard, send, settle } = await scene(t, lab);
    const stranger = await rawPeer(t, '127.0.0.9');
    plane.setHandshakeKeys([KEY]);
    const count = 2 * SOURCE_BURST;
    const started = performance.now();
    for (let number = 0; number < count; number++) {
      await send(Buffer.alloc(24, CONFIRMATION));
      await send(handshake(INITIATION, number, KEY));
    }
    await settle();
    const most = SOURCE_BURST + ((performance.now() - started) / 1000) * SOURCE_RATE + 1;
    for (const kind of [INITIATION, CONFIRMATION]) {
      const passed = heard.filter(([first]) => first === kind).length;
      t.true(passed >= SOURCE_BURST && passed <= most, `${passed} of ${most}`);
    }
    const passed = heard.filter(isHandshake).length;
    t.deepEqual(drops(plane), { mesh_handshake_shed: 2 * count - passed });
    await stranger.send(handshake(INITIATION, count, KEY), plane.meshAddress);
    await until(() => heard.filter(isHandshake).length > passed, 'another source is heard');
  });
}

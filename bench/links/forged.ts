import { randomBytes } from 'node:crypto';
import type { KeyInfo, Status } from '../../src/api/control.ts';
import { ENVELOPE_KIND, hintOf } from '../../src/link/envelope.ts';
import {
  INITIATION_BYTES,
  makeInitiation,
  MAC_BYTES,
  ReceiverKeys,
} from '../../src/link/handshake-message.ts';
import { blackHole } from '../lib/black-hole.ts';
import type { LabNamespace } from '../lib/lab.ts';
import { readResidentBytes, readRunSeconds } from '../lib/proc.ts';
import { median } from '../lib/statistics.ts';
import { repeatDatagram } from '../lib/udpgen.ts';
import { MESH_PORT, type WeftHost } from '../lib/weft-host.ts';
import { CONGESTION_CONTROL } from '../probes/tcp.ts';
import type { Figure } from './figure.ts';
import { addressOf, type LinkMesh } from './mesh.ts';

const RATE = 10_000;
const SECONDS = 10;
const QUIET_SECONDS = 5;
const MUST_SHARE = 0.8;
/** A heap that is used more grows a little; 100,000 of anything kept would be more. */
const MOST_GROWN_BYTES = 8 * 2 ** 20;
const HEAD_BYTES = 8;
/** As a datagram of gossip with some news. */
const ENVELOPE_LENGTH = 300;
const NOISE_BYTES = INITIATION_BYTES - HEAD_BYTES - 2 * MAC_BYTES;

interface Scene {
  readonly mesh: LinkMesh;
  readonly attacker: LabNamespace;
  readonly victim: WeftHost;
}

/** An initiation to the victim that no member made: as long as one, with noise in place of Noise. */
function forge(secret: Uint8Array, { key }: Status): Buffer {
  const macs = new ReceiverKeys(secret, Buffer.from(key, 'base64')).macs();
  return makeInitiation(1, randomBytes(NOISE_BYTES), macs);
}

/** Gossip that no member sealed: with what all members' begins with, as anybody on the way sees it. */
async function forgeEnvelope(victim: WeftHost): Promise<Buffer> {
  const [key] = JSON.parse(await victim.weft('keys', '--json')) as readonly KeyInfo[];
  if (key === undefined) throw new Error('a sealed mesh has a key');
  const head = Buffer.of(ENVELOPE_KIND.datagram, hintOf(key.id));
  return Buffer.concat([head, randomBytes(ENVELOPE_LENGTH)]);
}

async function gbps({ mesh }: Scene, seconds: number): Promise<number> {
  const [web, db] = mesh.containers;
  if (!web || !db) throw new Error('two containers are wanted');
  const { bitsPerSecond } = await web.iperfTo(db, {
    ...{ address: addressOf(1), seconds },
    extra: ['-C', CONGESTION_CONTROL],
  });
  return bitsPerSecond / 1e9;
}

/** Throughput while somebody floods the mesh port; the flood begins first and ends last. */
async function gbpsUnder(scene: Scene, forged: Uint8Array, seconds: number): Promise<number> {
  const { attacker, victim } = scene;
  const to = { address: victim.host.address, port: MESH_PORT };
  const load = repeatDatagram(attacker, to, forged, { seconds: seconds + 1, rate: RATE });
  const [rate] = await Promise.all([gbps(scene, seconds), load]);
  return rate;
}

/** Throughput while the flood is sent and dropped before anybody looks at it: what sending it costs. */
async function gbpsUnread(scene: Scene, forged: Uint8Array): Promise<number> {
  const drop = `udp dport ${MESH_PORT} udp length ${forged.length + 8}`;
  const hole = await blackHole(scene.victim.host.namespace, drop);
  try {
    return await gbpsUnder(scene, forged, QUIET_SECONDS);
  } finally {
    await hole.undo();
  }
}

/** By the data plane, before anybody is woken, and by the control plane. */
const refusals = ({ dataPlane, links }: Status): number =>
  Object.entries({ ...dataPlane.drops, ...links.counters })
    .filter(([name]) => /^mesh_(handshake|envelope)|^handshake/.test(name))
    .reduce((sum, [, count]) => sum + count, 0);

/** What a session is, without its age. */
const sessionsOf = ({ links: { peers } }: Status): string =>
  JSON.stringify(peers.map(({ peer, state, cipher }) => [peer, state, cipher]).sort());

async function attack(scene: Scene, title: string, forged: Uint8Array): Promise<Figure[]> {
  const { victim } = scene;
  const pid = victim.pid ?? 0;
  const before = { status: await victim.status(), rss: readResidentBytes(pid) };
  const quiet = [await gbps(scene, QUIET_SECONDS)];
  const cpu = readRunSeconds(pid);
  const flooded = await gbpsUnder(scene, forged, SECONDS);
  const victimCpu = (readRunSeconds(pid) - cpu) / SECONDS;
  const unread = await gbpsUnread(scene, forged);
  quiet.push(await gbps(scene, QUIET_SECONDS));
  const after = { status: await victim.status(), rss: readResidentBytes(pid) };
  const share = flooded / median(quiet);
  const grownBytes = after.rss - before.rss;
  const refused = refusals(after.status) - refusals(before.status);
  const isSame = sessionsOf(before.status) === sessionsOf(after.status);
  const percent = (part: number): string => `${(100 * part).toFixed(0)} %`;
  const grown = `${(grownBytes / 2 ** 20).toFixed(1)} MiB`;
  return [
    {
      what: `${RATE} forged ${title}: throughput kept`,
      must: `≥ ${percent(MUST_SHARE)}`,
      seen: `${percent(share)} of ${median(quiet).toFixed(2)} Gb/s (${percent(unread / median(quiet))} when nobody reads them; the daemon used ${victimCpu.toFixed(2)} processors)`,
      isReached: share >= MUST_SHARE,
      values: {
        share,
        quietGbps: median(quiet),
        floodedGbps: flooded,
        unreadGbps: unread,
        victimCpu,
      },
    },
    {
      what: `${RATE} forged ${title}: state kept`,
      must: 'no session, ≤ 8 MiB',
      seen: `sessions ${isSame ? 'the same' : 'CHANGED'}, ${grown} more resident, ${refused} refused`,
      isReached: isSame && grownBytes <= MOST_GROWN_BYTES && refused > 0,
      values: { grownBytes, refused },
    },
  ];
}

/** TCP between two hosts while a third, which is of no mesh, forges handshakes and gossip to one of them. */
export async function measureForged(mesh: LinkMesh, attacker: LabNamespace): Promise<Figure[]> {
  const [, victim] = mesh.hosts;
  if (victim === undefined) throw new Error('there is no second host');
  const scene = { mesh, attacker, victim };
  const status = await victim.status();
  return [
    ...(await attack(scene, 'initiations/s, by an outsider', forge(randomBytes(32), status))),
    ...(await attack(
      scene,
      'initiations/s, mac1 right, as if recorded',
      forge(mesh.secret, status),
    )),
    ...(await attack(scene, 'envelopes/s, by an outsider', await forgeEnvelope(victim))),
  ];
}

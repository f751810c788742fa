import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { packageRoot } from '../../../src/base/package-root.ts';
import { MortalHost, World } from '../../daemon/mortal-host.ts';

/*
 * What Docker 20.10 really sent to another driver, in order, is sent to this one. That driver's pool ids
 * and the addresses that it chose become ours; all else stays as it was.
 */

interface Recorded {
  /** The command that made the engine call. */
  readonly mark?: string;
  readonly call?: string;
  readonly body?: unknown;
  /** What the other driver answered, where later calls repeat it. */
  readonly answer?: string;
}

type Said = Readonly<Record<string, unknown>>;

const FOLDER = join(packageRoot, 'test/plugin/docker/traces');
/** What was asked in the recordings and Weft refuses, by the words that were wrong. */
const REFUSED = [/"foo" is none of Weft's/, /"io" is none of Weft's/, /"k" is none of Weft's/];

function recorded(file: string): Recorded[] {
  const lines = readFileSync(join(FOLDER, file), 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Recorded);
}

/** The fields that each answer must have. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  'Plugin.Activate': ['Implements'],
  'NetworkDriver.GetCapabilities': ['Scope', 'ConnectivityScope'],
  'IpamDriver.GetCapabilities': ['RequiresMACAddress', 'RequiresRequestReplay'],
  'IpamDriver.GetDefaultAddressSpaces': ['LocalDefaultAddressSpace', 'GlobalDefaultAddressSpace'],
  'IpamDriver.RequestPool': ['PoolID', 'Pool', 'Data'],
  'IpamDriver.RequestAddress': ['Address', 'Data'],
  'NetworkDriver.CreateEndpoint': ['Interface'],
  'NetworkDriver.EndpointOperInfo': ['Value'],
  'NetworkDriver.Join': ['InterfaceName', 'DisableGatewayService'],
  'NetworkDriver.AllocateNetwork': ['Options'],
};

/** Replays one engine's calls against a host. */
class Replay {
  readonly #host: MortalHost;
  /** What the other driver said, and what this one says instead. */
  readonly #words: [RegExp, string][] = [[/\bProbe(Local|Global)\b(?!\/)/g, 'Weft$1']];
  readonly refusals: string[] = [];

  constructor(host: MortalHost) {
    this.#host = host;
  }

  async say({ call = '', body, answer }: Recorded): Promise<Said> {
    let said = await this.#ask(call, body);
    const sentence = said['Err'] ?? said['Error'];
    if (typeof sentence === 'string' && REFUSED.some((words) => words.test(sentence))) {
      this.refusals.push(sentence);
      said = await this.#ask(call, withoutUnknown(body));
    }
    const own = said['Address'] ?? said['PoolID'];
    if (answer !== undefined && answer !== '' && typeof own === 'string') this.#learn(answer, own);
    const subnet = /\/([\d.]+\/\d+)$/.exec(answer ?? '')?.[1];
    if (subnet !== undefined && typeof said['Pool'] === 'string') {
      this.#words.unshift([new RegExp(`"${escaped(subnet)}"`, 'g'), `"${said['Pool']}"`]);
    }
    if (call === 'NetworkDriver.Join' && 'InterfaceName' in said) this.#fetch(said, body);
    return said;
  }

  async #ask(call: string, body: unknown): Promise<Said> {
    const text = this.#words.reduce(
      (all, [theirs, ours]) => all.replace(theirs, ours),
      JSON.stringify(body),
    );
    const said = await this.#host.call(call, JSON.parse(text));
    if (said === 'dead') throw new Error('dead');
    return said;
  }

  #learn(theirs: string, ours: string): void {
    if (theirs.includes('Probe')) {
      this.#words.unshift([new RegExp(`${escaped(theirs)}(?=")`, 'g'), ours]);
      return;
    }
    const [old = '', fresh = ''] = [theirs.split('/')[0], ours.split('/')[0]];
    const exact = new RegExp(`\\b${escaped(old)}(?=["/])(?!/\\d+")(?!\\.)`, 'g');
    const known = this.#words.filter(([words]) => words.source !== exact.source);
    const length = new RegExp(`"${escaped(old)}(?=/\\d+")`, 'g');
    this.#words.splice(
      ...[0, this.#words.length],
      ...known.filter(([words]) => words.source !== length.source),
      [exact, fresh],
      [length, `"${fresh}`],
    );
  }

  /** The engine takes the interface at once, and its sandbox ends with the test. */
  #fetch(said: Said, body: unknown): void {
    const { SrcName: device } = said['InterfaceName'] as { SrcName: string };
    const { SandboxKey: path } = body as { SandboxKey: string };
    const { kernel } = this.#host;
    if (!this.#sandboxes.has(path)) kernel.addNamespace(path);
    this.#sandboxes.add(path);
    kernel.moveLink(device, `eth${this.#fetched++}`, path);
  }

  readonly #sandboxes = new Set<string>();
  #fetched = 0;
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** As the person would say it again who was told that these options are unknown. */
function withoutUnknown(body: unknown): unknown {
  return JSON.parse(
    JSON.stringify(body)
      .replaceAll('"foo":"bar"', '')
      .replaceAll('"io":"1"', '')
      .replaceAll('"k":"v"', ''),
  );
}

test('one engine with networks of its own: every flag, restarts, live-restore', async (t) => {
  const world = new World(1);
  const host = new MortalHost('a', '192.0.2.1', world);
  await host.start();
  const replay = new Replay(host);
  let mark = '';
  for (const line of recorded('local.jsonl')) {
    mark = line.mark ?? mark;
    if (line.call === undefined) continue;
    const said = await replay.say(line);
    const what = `${mark}: ${line.call} ${JSON.stringify(said)}`;
    t.false('Err' in said || 'Error' in said, what);
    for (const field of FIELDS[line.call] ?? []) t.true(field in said, what);
  }
  t.true(replay.refusals.length > 2);
  t.deepEqual(await host.endpoints(), []);
  t.deepEqual(await host.links(), []);
  t.deepEqual(await host.control.listNetworks(), []);
  host.kill();
});

/** `npm run bench -- links`: what carries frames between hosts, beside what it must reach. */
import { writeFileSync } from 'node:fs';
import { Interrupt } from '../lib/interrupt.ts';
import { Lab } from '../lib/lab.ts';
import { describeMachine, machineFacts } from '../lib/machine.ts';
import { LINK_MEASUREMENTS, type LinkMeasurement, type LinksOptions } from '../lib/options.ts';
import { temporaryDirectory } from '../lib/temporary.ts';
import { measureChanges } from './changes.ts';
import { measureFailover } from './failover.ts';
import { failed, renderFigures, type Figure } from './figure.ts';
import { measureForged } from './forged.ts';
import { measureHandshake } from './handshake.ts';
import { measureIdle } from './idle.ts';
import { LinkMesh } from './mesh.ts';
import { measurePathMtu } from './path-mtu.ts';
import { measureRelay } from './relay.ts';

/** Measurements that share one mesh of three daemons, in this order. */
const ON_MESH: readonly LinkMeasurement[] = ['idle', 'failover', 'forged', 'changes'];

class LinksBench {
  readonly #options: LinksOptions;
  readonly #interrupt: Interrupt;
  readonly figures: Figure[] = [];

  constructor(options: LinksOptions, interrupt: Interrupt) {
    this.#options = options;
    this.#interrupt = interrupt;
  }

  async run(): Promise<void> {
    await this.#measure('handshake', measureHandshake);
    if (ON_MESH.some((name) => this.#isWanted(name))) await this.#withLab('links', this.#onMesh);
    await this.#withLab('linkr', (lab) => this.#measure('relay', () => measureRelay(lab)));
    await this.#withLab('linkm', (lab, directory) =>
      this.#measure('path-mtu', () => measurePathMtu(lab, directory)),
    );
  }

  #isWanted(name: LinkMeasurement): boolean {
    return this.#options.only?.includes(name) ?? true;
  }

  /** One that fails is a row of its own, and the others go on. */
  async #measure(name: LinkMeasurement, measure: () => Promise<Figure[]>): Promise<void> {
    if (!this.#isWanted(name)) return;
    this.#interrupt.check();
    console.error(`links: ${name}`);
    try {
      this.figures.push(...(await measure()));
    } catch (error) {
      this.#interrupt.check();
      this.figures.push(failed(name, error));
    }
  }

  async #withLab(area: string, use: (lab: Lab, directory: string) => Promise<void>): Promise<void> {
    const lab = new Lab(area);
    const directory = temporaryDirectory(area);
    try {
      await use(lab, directory.path);
    } finally {
      await lab.destroy();
      directory.remove();
    }
  }

  readonly #onMesh = async (lab: Lab, directory: string): Promise<void> => {
    const [attacker, ...hosts] = (await lab.underlay(['a', 'b', 'c', 'x'])).reverse();
    if (attacker === undefined) throw new Error('the lab made no host');
    const mesh = new LinkMesh(lab, hosts.reverse(), directory);
    await mesh.up();
    if (this.#isWanted('idle')) await this.#measure('idle', () => measureIdle(mesh));
    else await mesh.connect();
    await this.#measure('failover', () => measureFailover(mesh));
    await this.#measure('forged', () => measureForged(mesh, attacker.namespace));
    await this.#measure('changes', () => measureChanges(mesh));
  };
}

export async function runLinks(options: LinksOptions): Promise<void> {
  // A path that can't be written is better found out now than after the last measurement.
  if (options.json !== undefined) writeFileSync(options.json, '');
  const interrupt = new Interrupt();
  const facts = await machineFacts();
  const bench = new LinksBench(options, interrupt);
  const started = performance.now();
  try {
    await bench.run();
  } catch (error) {
    if (interrupt.exitStatus === undefined) throw error;
    process.exit(interrupt.exitStatus);
  }
  const { figures } = bench;
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(`## Weft's links, in ${seconds} s\n\n${describeMachine(facts)}\n`);
  console.log(renderFigures(figures));
  if (options.json !== undefined) {
    const measured = options.only ?? LINK_MEASUREMENTS;
    const content = { machine: facts, measured, seconds, figures };
    writeFileSync(options.json, `${JSON.stringify(content, undefined, 1)}\n`);
  }
  process.exitCode = figures.every(({ isReached }) => isReached) ? 0 : 1;
}

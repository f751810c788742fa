import { fileURLToPath } from 'node:url';
import type { LabNamespace } from './lab.ts';
import type { LabProcess } from './process.ts';
import { until } from './until.ts';

const PROGRAM = fileURLToPath(new URL('./sequence-program.js', import.meta.url));

/** Other users of the machine stretch what takes milliseconds. */
const LONG_MS = 60_000;

export interface Sequence {
  readonly at: number;
  readonly lost: number;
  /** The longest time without a datagram, in ms. */
  readonly worst: number;
}

/** Counted datagrams from one container to another, until it is stopped or the lab ends. */
export class SequenceFlow {
  readonly #sender: LabProcess;
  readonly #receiver: LabProcess;

  private constructor(sender: LabProcess, receiver: LabProcess) {
    this.#sender = sender;
    this.#receiver = receiver;
  }

  static async start(
    from: LabNamespace,
    to: LabNamespace,
    address: string,
    everyMs = 10,
    port = 7000,
  ): Promise<SequenceFlow> {
    const where = [address, String(port)];
    const receiver = to.start(process.execPath, [PROGRAM, 'receive', ...where]);
    await receiver.waitForLine(/^listening/);
    const sender = from.start(process.execPath, [PROGRAM, 'send', ...where, String(everyMs)]);
    await receiver.waitForLine(/^at [1-9]/, LONG_MS);
    return new SequenceFlow(sender, receiver);
  }

  /** What was counted up to now. */
  get now(): Sequence {
    const [, at, lost, worst] =
      [...this.#receiver.output.matchAll(/^at (\d+) lost (-?\d+) worst (\d+)$/gm)].at(-1) ?? [];
    return { at: Number(at), lost: Number(lost), worst: Number(worst) };
  }

  /** Waits until nothing arrives any more; the last number that had. */
  async standsStill(): Promise<number> {
    await until(
      'datagrams to stand still',
      () => {
        const [one, other] = this.#receiver.output.split('\n').slice(-2);
        return Promise.resolve(one === other);
      },
      LONG_MS,
    );
    return this.now.at;
  }

  /** Waits until more datagrams arrive than had by now. */
  async goesOn(): Promise<void> {
    const { at } = this.now;
    await until('datagrams to go on', () => Promise.resolve(this.now.at > at + 50), LONG_MS);
  }

  async stop(): Promise<void> {
    await this.#sender.stop();
    await this.#receiver.stop();
  }
}

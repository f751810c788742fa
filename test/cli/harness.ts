import { run } from '../../src/cli/run.ts';
import { FakeControl } from '../fakes/fake-control.ts';

export interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
  /** Sockets that were connected to. */
  readonly sockets: readonly string[];
}

/** 75 seconds after the fake daemon started. */
export const NOW = Date.parse('2026-01-02T03:05:20.000Z');

/** Runs command lines in this process against one fake daemon. */
export class CliHarness {
  readonly control = new FakeControl();
  env: Record<string, string> = {};

  async run(...argv: readonly string[]): Promise<Ran> {
    let out = '';
    let err = '';
    const sockets: string[] = [];
    const status = await run(argv, {
      out: (text) => void (out += text),
      err: (text) => void (err += text),
      env: this.env,
      wallNow: () => NOW,
      connect: (socket) => {
        sockets.push(socket);
        return Promise.resolve(this.control);
      },
    });
    return { status, out, err, sockets };
  }

  async json(...argv: readonly string[]): Promise<unknown> {
    return JSON.parse((await this.run(...argv, '--json')).out);
  }

  /** Arguments of the last call of the daemon. */
  get lastCall() {
    return this.control.calls.at(-1);
  }
}

/** A harness whose daemon has network blue with one endpoint and one foreign VTEP. */
export async function populated(): Promise<CliHarness> {
  const cli = new CliHarness();
  await cli.run('network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--vni', '42');
  await cli.run('attach', 'blue', '--netns', 'web', '--ip', '10.7.0.2');
  await cli.run('vtep', 'add', 'blue', '192.0.2.9');
  return cli;
}

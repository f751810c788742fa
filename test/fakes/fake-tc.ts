import { CommandFailed } from '../../src/os/exec.ts';
import type { Qdisc, Tc, TcCommand } from '../../src/os/tc.ts';

/**
 * Qdiscs and redirects in memory: enough of tc(8) for `Shaping`. They go with their
 * device: `indexOf` tells which one a name is now.
 */
export class FakeTc implements Tc {
  failWith: Error | undefined;
  /** How often something was looked at: a process each. */
  looks = 0;
  readonly #indexOf: (device: string) => number | undefined;
  readonly #qdiscs = new Map<string, Qdisc>();
  readonly #redirects = new Map<string, string>();

  constructor(indexOf: (device: string) => number | undefined) {
    this.#indexOf = indexOf;
  }

  qdiscs(): Promise<readonly Qdisc[]> {
    this.looks++;
    const all = [...this.#qdiscs].filter(([key, { device }]) => this.#isAt(key, device));
    return Promise.resolve(all.map(([, qdisc]) => qdisc));
  }

  redirects(device: string): Promise<readonly string[]> {
    this.looks++;
    const to = this.#redirects.get(this.#key(device, 'ingress'));
    return Promise.resolve(to === undefined || this.#indexOf(to) === undefined ? [] : [to]);
  }

  apply(commands: readonly TcCommand[]): Promise<void> {
    if (this.failWith !== undefined) return Promise.reject(this.failWith);
    for (const command of commands) {
      const { device } = command;
      if (this.#indexOf(device) === undefined) {
        return Promise.reject(new CommandFailed(`no device ${device}`));
      }
      this.#perform(command);
    }
    return Promise.resolve();
  }

  /** As somebody who cleans up too much: what is at the device's root, or its ingress, or leads from there. */
  lose(device: string, what: 'root' | 'ingress' | 'redirect'): void {
    this.#redirects.delete(this.#key(device, 'ingress'));
    if (what !== 'redirect') this.#qdiscs.delete(this.#key(device, what));
  }

  #key(device: string, where: 'root' | 'ingress'): string {
    return `${this.#indexOf(device) ?? 'none'} ${where}`;
  }

  #isAt(key: string, device: string): boolean {
    return key === this.#key(device, 'root') || key === this.#key(device, 'ingress');
  }

  #perform(command: TcCommand): void {
    const { device } = command;
    const ingress = this.#key(device, 'ingress');
    switch (command.kind) {
      case 'limit': {
        const { rate, burstBytes } = command;
        const qdisc = { device, kind: 'tbf', rate: 8 * Math.floor(rate / 8), burstBytes };
        this.#qdiscs.set(this.#key(device, 'root'), qdisc);
        return;
      }
      case 'redirect':
        if (this.#qdiscs.has(ingress)) throw new CommandFailed('Exclusivity flag on');
        this.#qdiscs.set(ingress, { device, kind: 'ingress' });
        this.#redirects.set(ingress, command.to);
        return;
      case 'stopRedirect':
        this.#qdiscs.delete(ingress);
        this.#redirects.delete(ingress);
    }
  }
}

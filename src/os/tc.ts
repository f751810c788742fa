import type { Exec } from './exec.ts';

/** What Weft asks of tc(8). Rates are in bits a second, sizes in bytes. */
export type TcCommand =
  | {
      /** What leaves by the device, held to a rate by a token bucket, in place of whatever did so before. */
      readonly kind: 'limit';
      readonly device: string;
      readonly rate: number;
      readonly burstBytes: number;
      /** What may wait for tokens; more is dropped. */
      readonly queueBytes: number;
    }
  /** What comes in by the device leaves by another one. */
  | { readonly kind: 'redirect'; readonly device: string; readonly to: string }
  | { readonly kind: 'stopRedirect'; readonly device: string };

/** A queueing discipline as the kernel has it. */
export interface Qdisc {
  readonly device: string;
  readonly kind: string;
  /** Of a token bucket: bits a second, cut to whole bytes; and bytes, as well as the kernel tells them. */
  readonly rate?: number;
  readonly burstBytes?: number;
}

/** Traffic control of the daemon's own network namespace, through tc(8). */
export interface Tc {
  /** Of all devices; of a device, those at its root and its ingress. */
  qdiscs(): Promise<readonly Qdisc[]>;
  /** Where what comes in by a device is led. */
  redirects(device: string): Promise<readonly string[]>;
  /** Performs the commands in order until one is refused: E_COMMAND_FAILED. */
  apply(commands: readonly TcCommand[]): Promise<void>;
}

/** The lines for `tc -batch`. */
export function tcLines(command: TcCommand): readonly string[] {
  const { kind, device } = command;
  switch (kind) {
    case 'limit': {
      const { rate, burstBytes, queueBytes } = command;
      return [
        `qdisc replace dev ${device} root tbf rate ${rate}bit burst ${burstBytes} limit ${queueBytes}`,
      ];
    }
    case 'redirect':
      return [
        `qdisc add dev ${device} ingress`,
        // u32 is what every kernel with a classifier has.
        `filter add dev ${device} parent ffff: protocol all prio 1 u32 match u32 0 0 action mirred egress redirect dev ${command.to}`,
      ];
    case 'stopRedirect':
      return [`qdisc del dev ${device} ingress`];
  }
}

interface RawQdisc {
  readonly dev: string;
  readonly kind: string;
  readonly root?: boolean;
  readonly parent?: string;
  readonly options?: { readonly rate?: number; readonly burst?: number };
}

interface RawFilter {
  readonly options?: { readonly actions?: readonly { readonly to_dev?: string }[] };
}

const BITS = 8;

/** Reads `tc -json qdisc show`. */
export function readQdiscs(json: unknown): Qdisc[] {
  return (json as readonly RawQdisc[])
    .filter(({ root, kind }) => root === true || kind === 'ingress')
    .map(({ dev: device, kind, options: { rate, burst } = {} }) => ({
      ...{ device, kind },
      ...(rate !== undefined && { rate: rate * BITS }),
      ...(burst !== undefined && { burstBytes: burst }),
    }));
}

/** Reads `tc -json filter show`. */
export function readRedirects(json: unknown): string[] {
  return (json as readonly RawFilter[]).flatMap(({ options }) =>
    (options?.actions ?? []).flatMap((action) => action.to_dev ?? []),
  );
}

/** `Tc` by `tc -json` and `tc -batch`. */
export class TcTool implements Tc {
  readonly #exec: Exec;

  constructor(exec: Exec) {
    this.#exec = exec;
  }

  async qdiscs(): Promise<readonly Qdisc[]> {
    return readQdiscs(await this.#json('qdisc', 'show'));
  }

  async redirects(device: string): Promise<readonly string[]> {
    return readRedirects(await this.#json('filter', 'show', 'dev', device, 'ingress'));
  }

  async apply(commands: readonly TcCommand[]): Promise<void> {
    if (commands.length === 0) return;
    const input = commands.flatMap(tcLines).map((line) => `${line}\n`);
    await this.#exec.run('tc', ['-batch', '-'], { input: input.join('') });
  }

  async #json(...words: readonly string[]): Promise<unknown> {
    const text = await this.#exec.run('tc', ['-json', ...words]);
    return text.trim() === '' ? [] : JSON.parse(text);
  }
}

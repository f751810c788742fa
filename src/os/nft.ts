import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandFailed, type Exec } from './exec.ts';

/** An object of nftables' JSON (libnftables-json(5)): `{ table: … }`, `{ chain: … }`, `{ rule: … }`. */
export type NftObject = Readonly<Record<string, unknown>>;

/** A step of a transaction. */
export type NftCommand = { readonly add: NftObject } | { readonly delete: NftObject };

/** nftables of the daemon's own network namespace, through nft(8). */
export interface Nft {
  /** Performs all of the commands or none: E_COMMAND_FAILED says why. */
  apply(commands: readonly NftCommand[]): Promise<void>;
  /** What is in a table of family inet, without what the kernel numbers; undefined if there is none. */
  list(table: string): Promise<readonly NftObject[] | undefined>;
}

/** `Nft` by `nft -j`. */
export class NftTool implements Nft {
  readonly #exec: Exec;

  constructor(exec: Exec) {
    this.#exec = exec;
  }

  /** By a file: nft(8) opens /dev/stdin by its name, which the kernel refuses for a socket, as ours is. */
  async apply(commands: readonly NftCommand[]): Promise<void> {
    const directory = await mkdtemp(join(tmpdir(), 'weft-nft-'));
    try {
      const file = join(directory, 'table.json');
      await writeFile(file, JSON.stringify({ nftables: commands }), { mode: 0o600 });
      await this.#exec.run('nft', ['-j', '-f', file]);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  async list(table: string): Promise<readonly NftObject[] | undefined> {
    try {
      const text = await this.#exec.run('nft', ['-j', 'list', 'table', 'inet', table]);
      // Some versions tell a table that is not there by nothing at all.
      return text.trim() === '' ? undefined : readNft(JSON.parse(text));
    } catch (error) {
      if (error instanceof CommandFailed && /No such file or directory/.test(error.stderr)) {
        return undefined;
      }
      throw error;
    }
  }
}

/** The objects of a listing: handles are left out, for they change with every transaction. */
export function readNft(json: unknown): NftObject[] {
  const { nftables } = json as { readonly nftables: readonly NftObject[] };
  return nftables
    .filter((object) => !('metainfo' in object))
    .map((object) =>
      Object.fromEntries(
        Object.entries(object).map(([kind, value]) => {
          const rest = { ...(value as Readonly<Record<string, unknown>>) };
          Reflect.deleteProperty(rest, 'handle');
          return [kind, rest];
        }),
      ),
    );
}

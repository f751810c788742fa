import type { Nft, NftCommand, NftObject } from '../../src/os/nft.ts';

/** Tables of nftables in memory: enough of nft(8) for `Edges`. */
export class FakeNft implements Nft {
  readonly tables = new Map<string, NftObject[]>();
  /** Transactions so far. */
  transactions = 0;
  failWith: Error | undefined;

  apply(commands: readonly NftCommand[]): Promise<void> {
    if (this.failWith !== undefined) return Promise.reject(this.failWith);
    this.transactions++;
    for (const command of commands) this.#perform(command);
    return Promise.resolve();
  }

  list(table: string): Promise<readonly NftObject[] | undefined> {
    if (this.failWith !== undefined) return Promise.reject(this.failWith);
    return Promise.resolve(structuredClone(this.tables.get(table)));
  }

  #perform(command: NftCommand): void {
    const object = 'add' in command ? command.add : command.delete;
    const [[kind, value] = ['', {}]] = Object.entries(object);
    const { name = '', table = '' } = value as { name?: string; table?: string };
    if ('delete' in command) this.tables.delete(name);
    else if (kind === 'table') this.tables.set(name, this.tables.get(name) ?? []);
    else this.tables.get(table)?.push(object);
  }
}

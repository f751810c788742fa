import { isAppError } from '../base/errors.ts';
import type { Ip } from '../os/ip.ts';
import type { Nft, NftObject } from '../os/nft.ts';
import type { Sysctl } from '../os/sysctl.ts';
import { familyOf } from '../wire/cidr.ts';
import {
  edgeTable,
  NFT_TABLE,
  readOpened,
  removeTable,
  replaceTable,
  type EdgeNetwork,
  type OpenedInterfaces,
} from './nft-table.ts';

export interface EdgesOptions {
  readonly ip: Ip;
  readonly nft: Nft;
  readonly sysctl: Sysctl;
}

const FAMILIES = [4, 6] as const;
const NONE: OpenedInterfaces = { 4: [], 6: [] };
/** Interfaces of Weft's, and the loopback: none of them leads out. */
const INWARD = /^(?:lo|weft-.*|wtap-.*|w[vi][0-9a-f]{12})$/;

/**
 * The edge of this host's networks toward everything else: Weft's table of nftables, and forwarding on
 * the interfaces that lead out. A host that carries no network with
 * an edge, and is on none itself, has neither.
 */
export class Edges {
  readonly #ip: Ip;
  readonly #nft: Nft;
  readonly #sysctl: Sysctl;
  /** What forwards only since Weft has told it to; unknown before the first look. */
  #opened: OpenedInterfaces | undefined;
  /** The table as it was asked for, and as the kernel showed it then. */
  #asked: string | undefined;
  #shown: string | undefined;

  constructor({ ip, nft, sysctl }: EdgesOptions) {
    this.#ip = ip;
    this.#nft = nft;
    this.#sysctl = sysctl;
  }

  /**
   * Brings the host to what these networks need, all that it carries. Returns one sentence for each thing
   * that somebody else had changed. Rejects with E_COMMAND_FAILED; done again it goes on where it was.
   * For a host that is merely exposed the table is a second guard, beside the interface's own setting, and
   * it may have no nft(8): but with IPv6, which no setting of one interface keeps from being forwarded.
   */
  async ensure(networks: readonly EdgeNetwork[]): Promise<string[]> {
    if (networks.some(({ edge }) => edge !== undefined)) return this.#ensureTable(networks);
    const exposed = networks.flatMap((network) => network.exposed?.addresses.map(familyOf) ?? []);
    if (exposed.length === 0) return this.#clear();
    try {
      return await this.#ensureTable(networks);
    } catch (error) {
      if (isAppError(error, 'E_COMMAND_FAILED') && !exposed.includes(6)) return [];
      throw error;
    }
  }

  /** How the table differs from what `ensure` last made; nothing is changed. */
  async examine(): Promise<string[]> {
    if (this.#shown === undefined) return [];
    const listing = await this.#nft.list(NFT_TABLE);
    const shown = listing && comparable(listing);
    if (shown === this.#shown) return [];
    return [
      `table inet ${NFT_TABLE} of nftables ${shown === undefined ? 'is gone' : 'was changed'}`,
    ];
  }

  async #ensureTable(networks: readonly EdgeNetwork[]): Promise<string[]> {
    const listing = await this.#nft.list(NFT_TABLE);
    const before = this.#opened ?? readOpened(listing ?? []);
    const opened = await this.#open(networks, before);
    const objects = edgeTable({ networks, opened });
    const asked = JSON.stringify(objects);
    const shown = listing && comparable(listing);
    if (asked === this.#asked && shown === this.#shown) return [];
    const isOurs = this.#shown === undefined || shown === this.#shown;
    await this.#nft.apply(replaceTable(objects));
    this.#asked = asked;
    this.#shown = comparable((await this.#nft.list(NFT_TABLE)) ?? []);
    if (isOurs) return [];
    return [
      `Table inet ${NFT_TABLE} of nftables was ${shown === undefined ? 'gone' : 'changed'}; made again.`,
    ];
  }

  /** Has the interfaces that lead out forward, if a network wants that; returns those that did not before. */
  async #open(
    networks: readonly EdgeNetwork[],
    before: OpenedInterfaces,
  ): Promise<OpenedInterfaces> {
    const routed = networks.filter(({ edge }) => edge === 'routed');
    const gateways = routed.flatMap((network) => network.gateways);
    const uplinks = routed.length === 0 ? [] : await this.#uplinks();
    const opened = { ...NONE };
    for (const family of FAMILIES) {
      const isWanted = gateways.some((address) => familyOf(address) === family);
      const isAlone = family === 4 || (await this.#sysctl.forwardsByInterface());
      const wanted = isWanted ? (isAlone ? uplinks : ['all']) : [];
      opened[family] = await this.#openFamily(family, wanted, before[family]);
    }
    this.#opened = opened;
    return opened;
  }

  async #openFamily(
    family: 4 | 6,
    wanted: readonly string[],
    before: readonly string[],
  ): Promise<readonly string[]> {
    const opened = before.filter((name) => wanted.includes(name));
    for (const name of before) {
      if (!wanted.includes(name)) await this.#setForwarding(name, family, false);
    }
    for (const name of wanted) {
      const state = await this.#sysctl.isForwarding(name, family);
      if (state !== false) continue;
      await this.#setForwarding(name, family, true);
      if (!opened.includes(name)) opened.push(name);
    }
    return opened.sort();
  }

  /** An interface that has gone meanwhile has nothing to be set. */
  async #setForwarding(name: string, family: 4 | 6, isOn: boolean): Promise<void> {
    try {
      await this.#sysctl.setForwarding(name, family, isOn);
    } catch (error) {
      if (!isAppError(error, 'E_DEVICE_MISSING')) throw error;
    }
  }

  async #uplinks(): Promise<readonly string[]> {
    const devices = (await this.#ip.routes()).flatMap(({ device }) => device ?? []);
    return [...new Set(devices)].filter((name) => !INWARD.test(name)).sort();
  }

  /** Takes back all of it; a host that never had any, and may have no nft(8), is left alone. */
  async #clear(): Promise<string[]> {
    const listing = await this.#listing();
    const opened = this.#opened ?? readOpened(listing ?? []);
    for (const family of FAMILIES) await this.#openFamily(family, [], opened[family]);
    if (listing !== undefined) await this.#nft.apply(removeTable());
    this.#opened = NONE;
    this.#asked = undefined;
    this.#shown = undefined;
    return [];
  }

  /** Before the first look nobody knows whether there is a table; after `#clear` there is none. */
  async #listing(): Promise<readonly NftObject[] | undefined> {
    if (this.#opened === NONE) return undefined;
    try {
      return await this.#nft.list(NFT_TABLE);
    } catch (error) {
      if (isAppError(error, 'E_COMMAND_FAILED') && this.#asked === undefined) return undefined;
      throw error;
    }
  }
}

/** One text for one table: the kernel lists the elements of a set in no order. */
function comparable(listing: readonly NftObject[]): string {
  return JSON.stringify(listing, (key, value: unknown) =>
    key === 'elem' && Array.isArray(value) ? [...(value as unknown[])].sort() : value,
  );
}

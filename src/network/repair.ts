import type { Ip } from '../os/ip.ts';
import type { IpCommand, LinkSettings } from '../os/ip-command.ts';
import type { Link } from '../os/ip-json.ts';

/** What a link should be, a port of a bridge perhaps. */
export interface WantedLink extends LinkSettings {
  readonly isolated?: boolean;
}

/** What brings a link to what it should be. */
export interface Repair {
  /** Empty if nothing has to be done. */
  readonly settings: WantedLink;
  /** One for each setting, e.g. `MTU 1500 instead of 1450`. */
  readonly differences: readonly string[];
}

interface Comparison {
  readonly what: string;
  readonly found: string | number | boolean | undefined;
  readonly wanted: string | number | boolean | undefined;
}

/** Compares a link with what it should be: only what `wanted` gives is looked at. */
export function compareLink(link: Link, wanted: WantedLink): Repair {
  const isIsolated = link.isIsolated ?? false;
  const comparisons: (Comparison & { readonly key: keyof WantedLink })[] = [
    { key: 'master', what: 'bridge', found: link.master, wanted: wanted.master },
    { key: 'mtu', what: 'MTU', found: link.mtu, wanted: wanted.mtu },
    { key: 'mac', what: 'MAC', found: link.mac, wanted: wanted.mac },
    { key: 'alias', what: 'alias', found: link.alias, wanted: wanted.alias },
    { key: 'isolated', what: 'isolated', found: isIsolated, wanted: wanted.isolated },
    { key: 'up', what: 'up', found: link.isUp, wanted: wanted.up },
  ];
  const wrong = comparisons.filter(
    ({ found, wanted: value }) => value !== undefined && value !== found,
  );
  return {
    settings: Object.fromEntries(wrong.map(({ key, wanted: value }) => [key, value])),
    differences: wrong.map(describe),
  };
}

function describe({ what, found, wanted }: Comparison): string {
  if (what === 'up') return 'down instead of up';
  if (what === 'isolated') return `${wanted === true ? 'not ' : ''}isolated`;
  return `${what} ${found ?? 'none'} instead of ${wanted}`;
}

/** The commands that perform a repair, if there is anything to do. */
export function repairCommands(name: string, { settings }: Pick<Repair, 'settings'>): IpCommand[] {
  const { isolated, ...others } = settings;
  return [
    ...(Object.keys(others).length === 0 ? [] : [{ kind: 'setLink', name, ...others } as const]),
    // Last: a port of a bridge it must be already.
    ...(isolated === undefined ? [] : [{ kind: 'setPort', name, isolated } as const]),
  ];
}

/** Deletes a link; false if there is none of that name. */
export async function deleteIfPresent(ip: Ip, name: string): Promise<boolean> {
  try {
    await ip.apply([{ kind: 'deleteLink', name }]);
    return true;
  } catch (error) {
    // ip(8) has one exit status for all: whether the link is there tells "gone" from "refused".
    const links = await ip.links();
    if (links.some((link) => link.name === name)) throw error;
    return false;
  }
}

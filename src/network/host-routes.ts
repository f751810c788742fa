import { policyText, type PolicyEntry, type PolicyRouting } from '../os/policy-routing.ts';
import { bareAddress, familyOf, formatCidr, parseCidr, subnetOf } from '../wire/cidr.ts';

/** An interface by which the host itself is on a network. */
export interface HostPort {
  readonly ifname: string;
  /** CIDRs. */
  readonly addresses: readonly string[];
}

const ANY_SOURCE = '0.0.0.0';

/**
 * What has the host speak by its own interface on a network whose bridge, as the gateway, has the subnet's
 * route (docs/adr/0061): what is from its own address there, and what has no source yet, whose source it
 * then becomes. All else keeps to the bridge: what is forwarded, and what the gateway or another address of
 * the host answers. Strict `rp_filter` finds the same both ways.
 *
 * Rules, unlike routes, outlive the interface: here they are compared with those that are wanted.
 */
export class HostRoutes {
  readonly #routing: PolicyRouting;
  /** What was asked for last; unknown before the first time. */
  #asked: readonly PolicyEntry[] | undefined;

  constructor(routing: PolicyRouting) {
    this.#routing = routing;
  }

  /**
   * Makes the rules and routes for these interfaces, which must be there and up, and removes all others of
   * Weft's. Returns one sentence for each that somebody else had changed. Rejects with E_COMMAND_FAILED;
   * done again it goes on where it was.
   */
  async ensure(ports: readonly HostPort[]): Promise<string[]> {
    const wanted = ports.flatMap(entriesOf);
    const asked = this.#asked;
    // Nothing is looked at on a host that has none and wants none.
    if (wanted.length === 0 && asked?.length === 0) return [];
    const present = await this.#routing.list();
    const missing = without(wanted, present);
    const others = without(present, wanted);
    await this.#routing.change(others, missing);
    this.#asked = wanted;
    if (asked === undefined) return [];
    const lost = common(missing, asked).map(
      (each) => `The ${policyText(each)} was gone; made again.`,
    );
    const foreign = without(others, asked).map(
      (each) => `The ${policyText(each)} belongs to no interface; removed.`,
    );
    return [...lost, ...foreign];
  }

  /** What of that which `ensure` made is not there; nothing is changed. Rejects as `ensure`. */
  async examine(): Promise<string[]> {
    const asked = this.#asked ?? [];
    if (asked.length === 0) return [];
    return without(asked, await this.#routing.list()).map((entry) => `no ${policyText(entry)}`);
  }
}

/** Routes first: a rule that leads to an empty table leads on to the next one. */
function entriesOf({ ifname: device, addresses }: HostPort): PolicyEntry[] {
  return addresses.flatMap((address) => {
    const cidr = parseCidr(address);
    if (cidr === undefined) return [];
    const [from, to] = [bareAddress(address), formatCidr(subnetOf(cidr))];
    const sources = familyOf(from) === 4 ? [from, ANY_SOURCE] : [from];
    return [
      { kind: 'route', from, to, device } as const,
      ...sources.map((source) => ({ kind: 'rule', from: source, to }) as const),
    ];
  });
}

function common(entries: readonly PolicyEntry[], others: readonly PolicyEntry[]): PolicyEntry[] {
  const texts = new Set(others.map(policyText));
  return entries.filter((entry) => texts.has(policyText(entry)));
}

function without(entries: readonly PolicyEntry[], others: readonly PolicyEntry[]): PolicyEntry[] {
  const texts = new Set(others.map(policyText));
  return entries.filter((entry) => !texts.has(policyText(entry)));
}

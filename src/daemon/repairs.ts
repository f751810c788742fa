import type { IpamPlan, RepairReport } from '../api/control.ts';
import { pause, type Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { asMillis, asVni, type PeerId } from '../base/types.ts';
import { addressesOf } from '../network/endpoint.ts';
import { bareAddress } from '../wire/cidr.ts';
import type { Addresses } from './addresses.ts';
import type { Directory, Rows } from './directory.ts';
import { planRepair } from './mesh-plan.ts';
import { toRenew } from './moving.ts';
import type { MoveRecord } from './records.ts';

/** How long a command waits for the hosts to do what was decided. */
const WAIT_MS = 20_000;
const LOOK_EVERY = asMillis(100);

export interface RepairsOptions {
  readonly directory: Directory;
  readonly moves: Rows<MoveRecord>;
  readonly addresses: Pick<Addresses, 'pools'>;
  readonly nameOf: (host: PeerId) => string;
  readonly clock: Clock;
}

/**
 * Plans what to do about meshes that were seeded apart, and decides it on an operator's word. A decision
 * is rows that every host reads: each then moves its own endpoints (`Moving`). Decided twice, or on two
 * hosts at once, the rows are the same.
 */
export class Repairs {
  readonly #options: RepairsOptions;

  constructor(options: RepairsOptions) {
    this.#options = options;
  }

  plan(): IpamPlan {
    const { directory, nameOf, addresses } = this.#options;
    const pools = new Map(addresses.pools().map(({ pool, holding }) => [pool.id, holding]));
    return planRepair({ directory, nameOf, valueOf: ({ id }) => pools.get(id)?.chosen });
  }

  /**
   * Decides what the plan of that id says. E_PLAN_CHANGED, and nothing is decided, if the tables want
   * another by now; what was decided already, here or elsewhere, is fine.
   */
  decide(wanted: string): void {
    const { directory, moves } = this.#options;
    const { plan, merges, vnis, endpoints } = this.plan();
    if (plan === '' || (plan !== wanted && this.#isDecided(wanted))) return;
    if (plan !== wanted) {
      throw new AppError(
        'E_PLAN_CHANGED',
        `Plan ${wanted} is not what a repair would do now, nothing was changed; look at "weft ipam plan" again and, if it is right, say "weft ipam repair ${plan}".`,
      );
    }
    for (const { network, intoId } of merges) {
      const loser = directory.network(network);
      if (loser === undefined) continue;
      for (const vtep of directory.vteps(network)) directory.removeVtep(network, vtep.address);
      directory.putNetwork({ ...loser, mergedInto: intoId, mergePlan: plan });
    }
    for (const { network, vni } of vnis) {
      const displaced = directory.network(network);
      if (displaced) directory.putNetwork({ ...displaced, vni: asVni(vni) });
    }
    const renewed = endpoints.filter(({ network, to, keeps }) => network === to && !keeps);
    for (const id of new Set(renewed.map(({ endpoint }) => endpoint))) {
      const held = directory.endpoint(id);
      const lost = renewed.filter(({ endpoint }) => endpoint === id).map(({ address }) => address);
      const [from, from6] = (held === undefined ? [] : addressesOf(held)).filter((address) =>
        lost.includes(bareAddress(address)),
      );
      if (from !== undefined) moves.put(id, { from, ...(from6 !== undefined && { from6 }) });
    }
  }

  /** Waits until every host has done its part, or for 20 s. */
  async settled(): Promise<RepairReport> {
    const { clock } = this.#options;
    const end = clock.now() + WAIT_MS;
    while (this.#waiting().length > 0 && clock.now() < end) await pause(clock, LOOK_EVERY);
    return { plan: this.plan().plan, waiting: this.#waiting() };
  }

  #isDecided(plan: string): boolean {
    const { directory } = this.#options;
    return [...directory.networks(), ...directory.mergedNetworks()].some(
      ({ mergePlan }) => mergePlan === plan,
    );
  }

  /** Endpoints that are still to move. */
  #waiting(): RepairReport['waiting'] {
    const { directory, moves, nameOf } = this.#options;
    const merged = directory
      .networks()
      .filter(({ mergedInto }) => mergedInto !== undefined)
      .flatMap(({ name }) => directory.endpoints(name));
    const ordered = [...moves.entries()].flatMap(({ key, value }) => {
      const endpoint = directory.endpoint(key);
      return endpoint !== undefined && toRenew(endpoint, value).length > 0 ? [endpoint] : [];
    });
    return [...merged, ...ordered].map(({ id, host, network, address }) => ({
      ...{ endpoint: id, host: nameOf(host), network, address },
    }));
  }
}

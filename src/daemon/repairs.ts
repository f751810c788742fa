import type { IpamPlan, RepairReport } from '../api/control.ts';
import { pause, type Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { asMillis, asVni, type PeerId } from '../base/types.ts';
import type { Addresses } from './addresses.ts';
import type { Directory, Rows } from './directory.ts';
import { planRepair } from './mesh-plan.ts';
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
    const pools = new Map(addresses.pools().map(({ network, holding }) => [network.id, holding]));
    return planRepair({ directory, nameOf, poolOf: ({ id }) => pools.get(id)?.chosen });
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
    for (const { endpoint, network, to, keeps } of endpoints) {
      const held = directory.endpoint(endpoint);
      if (held && network === to && !keeps) moves.put(endpoint, { from: held.address });
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
      return endpoint?.address === value.from ? [endpoint] : [];
    });
    return [...merged, ...ordered].map(({ id, host, network, address }) => ({
      ...{ endpoint: id, host: nameOf(host), network, address },
    }));
  }
}

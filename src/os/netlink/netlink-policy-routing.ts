import { CommandFailed } from '../exec.ts';
import { policyText, type PolicyEntry, type PolicyRouting } from '../policy-routing.ts';
import type { Perform, Step } from './addon.ts';
import { performDump } from './dump.ts';
import { encodePolicy, encodePolicyDump, readPolicy } from './policy-message.ts';

const KINDS = ['rule', 'route'] as const;
const FAMILIES = [4, 6] as const;
/** ENOENT: there is no such table. EOPNOTSUPP, EAFNOSUPPORT: the kernel has no such family, or no rules for it. */
const NOTHING_THERE = [2, 95, 97];

/** `PolicyRouting` by rtnetlink; `nameOf` names an interface by its index. */
export class NetlinkPolicyRouting implements PolicyRouting {
  readonly #perform: Perform;
  readonly #nameOf: (index: number) => string;

  constructor(perform: Perform, nameOf: (index: number) => string) {
    this.#perform = perform;
    this.#nameOf = nameOf;
  }

  async list(): Promise<readonly PolicyEntry[]> {
    const entries = [];
    for (const kind of KINDS) {
      for (const family of FAMILIES) entries.push(...(await this.#dump(kind, family)));
    }
    return entries;
  }

  async change(gone: readonly PolicyEntry[], added: readonly PolicyEntry[]): Promise<void> {
    const entries = [...gone, ...added];
    const steps = entries.map((entry, index) => stepOf(entry, index >= gone.length));
    if (steps.length === 0) return;
    const { errno, failedAt, why } = await this.#perform('', steps);
    if (errno === 0) return;
    const refused = entries[failedAt];
    if (refused === undefined) throw new CommandFailed(`Policy routing can't be changed: ${why}.`);
    const act = failedAt < gone.length ? 'taken away' : 'added';
    throw new CommandFailed(`The ${policyText(refused)} can't be ${act}: ${why}.`);
  }

  async #dump(kind: PolicyEntry['kind'], family: 4 | 6): Promise<PolicyEntry[]> {
    const step = encodePolicyDump(kind, family);
    const { errno, replies, why } = await performDump(this.#perform, '', [step]);
    if (NOTHING_THERE.includes(errno)) return [];
    if (errno !== 0) throw new CommandFailed(`The ${kind}s of IPv${family} can't be read: ${why}.`);
    return readPolicy(kind, family, replies[0] ?? Buffer.alloc(0), this.#nameOf);
  }
}

function stepOf(entry: PolicyEntry, isAdded: boolean): Step {
  const step = encodePolicy(entry, isAdded);
  if (step !== undefined) return step;
  throw new CommandFailed(`The ${policyText(entry)} has no addresses of one family.`);
}

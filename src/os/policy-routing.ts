/** A rule by which packets of the host's own are led to Weft's table of routes before any other is asked. */
export interface PolicyRule {
  readonly kind: 'rule';
  /**
   * Address of the host. IPv6 has the rule be for packets without a source, too, that would get this one.
   * For IPv4 `0.0.0.0` means those for which nothing has chosen a source yet.
   */
  readonly from: string;
  /** CIDR of those that they are for. */
  readonly to: string;
}

/** A route of that table. */
export interface PolicyRoute {
  readonly kind: 'route';
  /** The source of packets that have none. */
  readonly from: string;
  /** CIDR. */
  readonly to: string;
  readonly device: string;
}

/** Addresses and CIDRs in canonical text: what is equal reads the same. */
export type PolicyEntry = PolicyRule | PolicyRoute;

/**
 * Weft's policy rules and its table of routes in the daemon's own network namespace. They bear Weft's
 * protocol number, so that none of anybody else's are ever seen or changed.
 */
export interface PolicyRouting {
  /** All there are. Rejects with E_COMMAND_FAILED. */
  list(): Promise<readonly PolicyEntry[]>;
  /** Takes away, then adds, in order, and stops at the first that is refused. Rejects with E_COMMAND_FAILED. */
  change(gone: readonly PolicyEntry[], added: readonly PolicyEntry[]): Promise<void>;
}

/** As ip(8) would show it, without what all have in common. */
export function policyText(entry: PolicyEntry): string {
  const { kind, from, to } = entry;
  return kind === 'rule'
    ? `rule "from ${from} to ${to}"`
    : `route "${to} dev ${entry.device} src ${from}"`;
}

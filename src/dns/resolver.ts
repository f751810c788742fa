import type { Answer, SoaAnswer } from 'dns-packet';
import { canonicalDnsName } from '../base/dns-name.ts';
import { shuffle, type Rng } from '../base/rng.ts';
import { RCODE, type Query, type Reply } from './packet.ts';
import { isReverse, reverseAddress } from './reverse.ts';
import type { View, Zone } from './zone.ts';

export interface ResolverOptions {
  readonly zone: Zone;
  /** Such as `weft.local`: lower case, no dots at its ends. */
  readonly domain: string;
  /** How long an answer may be kept, in seconds. */
  readonly ttlSeconds: number;
  readonly rng: Rng;
}

/** What becomes of a query. */
export type Verdict =
  { readonly kind: 'reply'; readonly reply: Reply } | { readonly kind: 'forward' };

/** As many records as one answer holds: they fit into a TCP message whatever the name. */
const MAX_ANSWERS = 200;

/** Questions about all names at once, or to be taken for a server's peer. */
const TRANSFERS: readonly string[] = ['AXFR', 'IXFR'];

/** How often others should look for a new zone, which nobody transfers: RFC 1035 §3.3.13 wants numbers. */
const SOA_TIMES = { serial: 1, refresh: 3600, retry: 600, expire: 86_400 } as const;

/** What the zone answers to a query; what is not in the domain, nor an address of ours, others answer. */
export class Resolver {
  readonly #options: ResolverOptions;

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  resolve(query: Query, view: View): Verdict {
    if (query.edns !== undefined && query.edns.version !== 0) return reply(RCODE.badVersion);
    if (!['IN', 'ANY'].includes(query.class) || TRANSFERS.includes(query.type)) {
      return reply(RCODE.refused);
    }
    const { domain } = this.#options;
    const name = query.name.toLowerCase();
    if (name === domain) return this.#apex(query);
    if (name.endsWith(`.${domain}`)) {
      return this.#forward(query, view, name.slice(0, -domain.length - 1));
    }
    return isReverse(name) ? this.#reverse(query, view, name) : { kind: 'forward' };
  }

  #apex({ name, type }: Query): Verdict {
    const soa = this.#soa(name);
    return type === 'SOA' || type === 'ANY'
      ? authoritative(RCODE.noError, [soa])
      : authoritative(RCODE.noError, [], [soa]);
  }

  #forward(query: Query, view: View, relative: string): Verdict {
    const { zone, rng, domain } = this.#options;
    const soa = this.#soa(domain);
    const addresses = zone.lookup(view, relative);
    if (addresses === undefined) return authoritative(RCODE.nameError, [], [soa]);
    const answers = shuffle(rng, addresses)
      .flatMap((address) => this.#addressRecord(query, address))
      .slice(0, MAX_ANSWERS);
    return authoritative(RCODE.noError, answers, answers.length > 0 ? [] : [soa]);
  }

  #addressRecord({ name, type }: Query, data: string): Answer[] {
    const found = data.includes(':') ? 'AAAA' : 'A';
    return type === found || type === 'ANY'
      ? [{ type: found, name, data, class: 'IN', ttl: this.#options.ttlSeconds }]
      : [];
  }

  #reverse(query: Query, view: View, name: string): Verdict {
    const { zone, domain, ttlSeconds } = this.#options;
    const address = reverseAddress(name);
    const names = address === undefined ? undefined : zone.reverse(view, address);
    if (names === undefined) return { kind: 'forward' };
    const soa = this.#soa(name.slice(name.indexOf('.') + 1));
    const carried = names.filter((each) => canonicalDnsName(`${each}.${domain}`) !== undefined);
    if (names.length === 0) return authoritative(RCODE.nameError, [], [soa]);
    const isAsked = query.type === 'PTR' || query.type === 'ANY';
    if (!isAsked || carried.length === 0) {
      return authoritative(RCODE.noError, [], [soa]);
    }
    const answers = carried.slice(0, MAX_ANSWERS).map((each) => ({
      ...({ type: 'PTR', name: query.name, class: 'IN', ttl: ttlSeconds } as const),
      data: `${each}.${domain}`,
    }));
    return authoritative(RCODE.noError, answers);
  }

  /** RFC 2308 §3: how long the absence of a name may be kept is the lesser of TTL and minimum. */
  #soa(name: string): SoaAnswer {
    const { domain, ttlSeconds } = this.#options;
    const owner = { mname: `ns.${domain}`, rname: `hostmaster.${domain}` };
    const data = { ...owner, ...SOA_TIMES, minimum: ttlSeconds };
    return { type: 'SOA', name, class: 'IN', ttl: ttlSeconds, data };
  }
}

const reply = (rcode: Reply['rcode']): Verdict => ({ kind: 'reply', reply: { rcode } });

const authoritative = (
  rcode: Reply['rcode'],
  answers: readonly Answer[],
  authorities: readonly SoaAnswer[] = [],
): Verdict => ({ kind: 'reply', reply: { rcode, isAuthoritative: true, answers, authorities } });

import { formatSocketAddress, type PeerId, type SocketAddress } from '../base/types.ts';

/** How datagrams get to a host: to one of its addresses, or by a host that passes them on. */
export type Route =
  | { readonly kind: 'direct'; readonly to: SocketAddress }
  | { readonly kind: 'relay'; readonly via: PeerId };

/** Where an address of a host is known from. What comes first is preferred where measurements don't differ. */
export const ORIGINS = ['announced', 'candidate', 'seen', 'relay'] as const;
export type PathOrigin = (typeof ORIGINS)[number];

/** A path that answers, as far as the choice goes. */
export interface Rated {
  readonly route: Route;
  readonly origin: PathOrigin;
  /** The least of late, in milliseconds: how long hosts are busy is not the path's doing. */
  readonly rtt: number;
  /** The round trip is that of the path, and not of a host that has just started. */
  readonly isMeasured: boolean;
  /** 0 to 1. */
  readonly loss: number;
}

/** Every second lost packet makes a path as bad as one four times as long. */
const cost = ({ rtt, loss }: Rated): number => rtt / (1 - Math.min(loss, 0.9)) ** 2;

/**
 * A path is better by being clearly shorter, by this factor and so many milliseconds: less would make a pair
 * of like paths take turns, or noise decide. Equal within the same margin, the preferred origin wins. Both
 * can't hold at once.
 */
const CLEARLY = 0.8;
const CLEARLY_MS = 1;

/**
 * Why `other` is better than `current`; undefined if it is not. A direct path is better than a relay
 * whatever they measure: it costs no third host anything.
 */
export function whyBetter(other: Rated, current: Rated): string | undefined {
  const [isRelay, wasRelay] = [other, current].map(({ route }) => route.kind === 'relay');
  if (isRelay !== wasRelay) return isRelay ? undefined : 'a direct path answers';
  const [costs, before] = [cost(other), cost(current)];
  const isKnown = other.isMeasured && current.isMeasured;
  if (isKnown && costs < before * CLEARLY - CLEARLY_MS) {
    return `${describeMeasure(other)} against ${describeMeasure(current)}`;
  }
  if (isPreferred(other, current) && costs * CLEARLY - CLEARLY_MS <= before) {
    return `${ORIGIN_WORDS[other.origin]} answers and is no worse`;
  }
  return undefined;
}

export const ORIGIN_WORDS: Readonly<Record<PathOrigin, string>> = {
  announced: 'the announced address',
  candidate: 'an address of its interfaces',
  seen: 'the address its datagrams come from',
  relay: 'a relay',
};

/** Whether it is the one of the two that is taken where both are alike. */
export const isPreferred = (
  other: Pick<Rated, 'origin'>,
  current: Pick<Rated, 'origin'>,
): boolean => ORIGINS.indexOf(other.origin) < ORIGINS.indexOf(current.origin);

/** The best of paths that answer: the one that no other is better than, or else costs least. */
export function bestOf<T extends Rated>(rated: readonly T[]): T | undefined {
  return [...rated].sort(
    (a, b) =>
      Number(a.route.kind === 'relay') - Number(b.route.kind === 'relay') ||
      cost(a) - cost(b) ||
      ORIGINS.indexOf(a.origin) - ORIGINS.indexOf(b.origin) ||
      (routeKey(a.route) < routeKey(b.route) ? -1 : 1),
  )[0];
}

export const routeKey = (route: Route): string =>
  route.kind === 'direct' ? formatSocketAddress(route.to) : `relay ${route.via}`;

const describeMeasure = ({ rtt, loss }: Rated): string =>
  `${rtt.toFixed(1)} ms${loss > 0 ? ` and ${Math.round(100 * loss)} % lost` : ''}`;

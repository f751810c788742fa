import type { EventsRequest, LinkDetail, LinkEvent, LinkPath, Traffic } from '../api/control.ts';
import type { Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { asMillis, formatSocketAddress, type Millis, type PeerId } from '../base/types.ts';
import type { DataPlane, VtepCounters } from '../dataplane/dataplane.ts';
import type { Member } from '../gossip/member.ts';
import { locatorOf } from '../link/locator.ts';
import type { PathInfo, PeerPaths } from '../link/paths.ts';
import type { Fabric } from './fabric.ts';
import type { LinkEvents } from './link-events.ts';
import type { Links } from './links.ts';
import type { PathKeeper } from './path-keeper.ts';
import type { MemberSource } from './peers.ts';
import type { TrustedPaths } from './trusted-paths.ts';

export interface LinkViewsOptions {
  readonly members: MemberSource;
  readonly paths: PathKeeper;
  readonly links: Pick<Links, 'sessions'>;
  readonly events: LinkEvents;
  readonly fabric: Pick<Fabric, 'sharedWith'>;
  readonly trusted: Pick<TrustedPaths, 'describe'>;
  readonly dataPlane: Pick<DataPlane, 'counters'>;
  /** Undefined where it is not known. */
  readonly pathMtu: (id: PeerId) => number | undefined;
  readonly clock: Clock;
}

const PLAIN_NOTE = 'plain VXLAN goes straight to the announced address, or nowhere';

/** Answers what carries frames to each host, and why. */
export class LinkViews {
  readonly #options: LinkViewsOptions;

  constructor(options: LinkViewsOptions) {
    this.#options = options;
  }

  /** Every host of the mesh, or the one of that name or id (or a unique beginning of it, of 4 letters or more). */
  links(host?: string): LinkDetail[] {
    const members = this.#members(host);
    const paths = new Map(this.#options.paths.peers().map((each) => [each.peer, each]));
    const sessions = new Map(this.#options.links.sessions().map((each) => [each.peer, each]));
    const { vteps } = this.#options.dataPlane.counters();
    return members
      .map((member) => this.#detail(member, paths.get(member.id), sessions.get(member.id), vteps))
      .sort((a, b) => a.peer.localeCompare(b.peer));
  }

  /** Resolves with what there is, or with what comes while it waits. */
  events({ after = 0, waitSeconds = 0 }: EventsRequest): Promise<readonly LinkEvent[]> {
    const { events, clock } = this.#options;
    const present = events.after(after);
    if (present.length > 0 || waitSeconds === 0) return Promise.resolve(present);
    return new Promise((resolve) => {
      const settle = (): void => {
        timer.cancel();
        stop();
        resolve(events.after(after));
      };
      const timer = clock.after(asMillis(waitSeconds * 1000), settle);
      const stop = events.onEvent(settle);
    });
  }

  #members(host: string | undefined): readonly Member[] {
    const members = this.#options.members.members();
    if (host === undefined) return members;
    const named = members.filter(({ name, id }) => name === host || id === host);
    const found =
      named.length > 0 || host.length < 4 ? named : members.filter(({ id }) => id.startsWith(host));
    if (found.length > 0) return found;
    throw new AppError(
      'E_HOST_MISSING',
      `No other host of the mesh is called "${host}"; "weft peers" lists them.`,
    );
  }

  #detail(
    member: Member,
    known: PeerPaths | undefined,
    session: ReturnType<Links['sessions']>[number] | undefined,
    vteps: readonly VtepCounters[],
  ): LinkDetail {
    const { fabric } = this.#options;
    const places = [locatorOf(member.id), member.address.address];
    const shared = new Set(fabric.sharedWith(places));
    const { cipher, age } = session ?? {};
    const mtu = this.#options.pathMtu(member.id);
    const trust = shared.has(true)
      ? this.#options.trusted.describe(member.id, member.name)
      : undefined;
    return {
      ...{ peer: member.name, id: member.id, state: member.state },
      encapsulations: [
        ...(shared.has(true) ? ['sealed' as const] : []),
        ...(shared.has(false) ? ['vxlan' as const] : []),
      ],
      ...(cipher === undefined ? {} : { cipher }),
      ...(age === undefined ? {} : { lastHandshake: this.#wallOf(age) }),
      keys: session === undefined ? 'none' : cipher === undefined ? 'connecting' : 'sealed',
      ...this.#path(member, known),
      ...(mtu !== undefined && { mtu }),
      traffic: trafficWith(places, vteps),
      paths: (known?.paths ?? []).map((path) => this.#pathInfo(path)),
      ...(trust && { trust }),
      ...(shared.has(false) && { note: PLAIN_NOTE }),
    };
  }

  #path(
    member: Member,
    known: PeerPaths | undefined,
  ): Pick<LinkDetail, 'path' | 'kind' | 'since' | 'why' | 'flaps'> {
    const { paths, clock } = this.#options;
    if (known === undefined) {
      return {
        ...{ path: `direct ${formatSocketAddress(member.address)}`, kind: 'direct', flaps: 0 },
        since: new Date(member.sinceWall).toISOString(),
        why: 'the announced address: no sealed network is shared, so that no path is measured',
      };
    }
    const { current, since, why, flaps } = known;
    const text = paths.describe(current);
    const isDead = !known.paths.some(({ isCurrent, state }) => isCurrent && state !== 'down');
    return {
      ...{ path: text, kind: current.kind, flaps },
      since: this.#wallOf(asMillis(clock.now() - since)),
      why: isDead ? `no path answers; before, ${why}` : why,
    };
  }

  #pathInfo({ route, origin, state, isCurrent, rtt, jitter, loss }: PathInfo): LinkPath {
    return {
      ...{ path: this.#options.paths.describe(route), origin, state, isUsed: isCurrent },
      ...(rtt === undefined ? {} : { rttMs: round(rtt) }),
      ...{ jitterMs: round(jitter), lossPercent: round(100 * loss) },
    };
  }

  #wallOf(age: Millis): string {
    return new Date(this.#options.clock.wallNow() - age).toISOString();
  }
}

const round = (value: number): number => Math.round(value * 100) / 100;

function trafficWith(places: readonly string[], vteps: readonly VtepCounters[]): Traffic {
  const sum = { rxFrames: 0, rxBytes: 0, txFrames: 0, txBytes: 0 };
  for (const counters of vteps) {
    if (!places.includes(counters.vtep.address)) continue;
    sum.rxFrames += counters.rxFrames;
    sum.rxBytes += counters.rxBytes;
    sum.txFrames += counters.txFrames;
    sum.txBytes += counters.txBytes;
  }
  return sum;
}

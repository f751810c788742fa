import { AppError } from '../base/errors.ts';
import type { PeerId } from '../base/types.ts';
import type { Ip } from '../os/ip.ts';
import type { Sysctl } from '../os/sysctl.ts';
import type { Qdisc, Tc, TcCommand } from '../os/tc.ts';
import type { Bandwidth, Endpoint, RateLimit } from './endpoint.ts';
import { formatMark, hostEndName, shaperName } from './names.ts';
import { deleteIfPresent } from './repair.ts';

const BITS = 8;
/** How long a packet may wait for its turn: the reference plugin's. */
const LATENCY_SECONDS = 0.025;
/** The kernel counts bytes of a bucket and its queue in 32 bits. */
const MAX_BYTES = 2 ** 32 - 1;
const ETHERNET_HEADER_BYTES = 14;
const RATES = { min: 1_000, max: 1e15 } as const;
/**
 * tc(8) tells a burst by the time that it takes, in ticks of 64 ns of which there are 2^32; a burst that
 * takes longer is set all the same, but told wrong. Below it, ticks make it inexact.
 */
const TICK_SECONDS = 64e-9;
const MAX_TICKS = 2 ** 32;

/**
 * Reads how an endpoint is to be limited; a rate of 0 is none, and undefined is returned for no limit.
 * Rejects with E_BANDWIDTH_INVALID.
 */
export function checkBandwidth({ ingress, egress }: Bandwidth, mtu: number): Bandwidth | undefined {
  const checked = {
    ...(isLimit(ingress) && { ingress: checkLimit('ingress', ingress, mtu) }),
    ...(isLimit(egress) && { egress: checkLimit('egress', egress, mtu) }),
  };
  return Object.keys(checked).length === 0 ? undefined : checked;
}

const isLimit = (limit: RateLimit | undefined): limit is RateLimit =>
  limit !== undefined && (limit.rate !== 0 || limit.burst !== 0);

function checkLimit(way: 'ingress' | 'egress', { rate, burst }: RateLimit, mtu: number): RateLimit {
  const refuse = (sentence: string): AppError => new AppError('E_BANDWIDTH_INVALID', sentence);
  if (rate === 0) {
    throw refuse(`The ${way} burst is ${burst} bits and no rate is given; give the rate as well.`);
  }
  if (burst === 0) {
    throw refuse(`The ${way} rate is ${rate} bit/s and no burst is given; give the burst as well.`);
  }
  if (rate < RATES.min || rate > RATES.max) {
    throw refuse(
      `The ${way} rate of ${rate} bit/s is out of range; give ${RATES.min} to ${RATES.max}.`,
    );
  }
  const least = (mtu + ETHERNET_HEADER_BYTES) * BITS;
  const most = MAX_BYTES * BITS;
  if (burst >= least && burst <= most) return { rate, burst };
  throw refuse(
    `The ${way} burst of ${burst} bits is out of range; give ${least} (one frame, or none would pass) to ${most}.`,
  );
}

export interface ShapingOptions {
  readonly ip: Ip;
  readonly tc: Tc;
  readonly sysctl: Sysctl;
  /** This host, whose mark the devices carry. */
  readonly host: PeerId;
}

/**
 * Holds endpoints to the rates in their rows, as CNI's reference plugin `bandwidth` does (docs/adr/0038):
 * what goes to the workload by a token bucket where it leaves the host's end of the pair; what comes from
 * it by one on an ifb device, to which the host's end hands all that comes in.
 */
export class Shaping {
  readonly #ip: Ip;
  readonly #tc: Tc;
  readonly #sysctl: Sysctl;
  readonly #host: PeerId;

  constructor({ ip, tc, sysctl, host }: ShapingOptions) {
    this.#ip = ip;
    this.#tc = tc;
    this.#sysctl = sysctl;
    this.#host = host;
  }

  /**
   * Limits an endpoint whose pair is there; returns one sentence for each limit that was missing. If it
   * rejects, with E_COMMAND_FAILED, a device that it made is gone again.
   */
  async ensure(endpoint: Endpoint, mtu: number): Promise<string[]> {
    if (endpoint.bandwidth === undefined) return [];
    const qdiscs = await this.#tc.qdiscs();
    const missing = await this.#differences(endpoint, qdiscs);
    if (missing.length > 0) await this.#shape(endpoint, mtu, qdiscs);
    return missing;
  }

  /** What of the kernel's qdiscs is to be known to `compare` endpoints; nothing is asked if none is limited. */
  async look(endpoints: Iterable<Endpoint>): Promise<readonly Qdisc[]> {
    for (const { bandwidth } of endpoints) {
      if (bandwidth !== undefined) return this.#tc.qdiscs();
    }
    return [];
  }

  /** How an endpoint is held to other rates than its own. */
  compare({ id, bandwidth }: Endpoint, qdiscs: readonly Qdisc[]): string[] {
    const { ingress, egress } = bandwidth ?? {};
    const isHeld = (device: string, limit: RateLimit): boolean =>
      qdiscs.some((qdisc) => qdisc.device === device && isSame(qdisc, limit));
    const isLed = qdiscs.some(
      ({ device, kind }) => device === hostEndName(id) && kind === 'ingress',
    );
    return [
      ...(ingress === undefined || isHeld(hostEndName(id), ingress) ? [] : [lacks(ingress, 'to')]),
      ...(egress === undefined || (isLed && isHeld(shaperName(id), egress))
        ? []
        : [lacks(egress, 'from')]),
    ];
  }

  /** As `compare`, with a look at the kernel, also at what leads frames to the limit. */
  async examine(endpoint: Endpoint): Promise<string[]> {
    return endpoint.bandwidth === undefined
      ? []
      : this.#differences(endpoint, await this.#tc.qdiscs());
  }

  async #differences(endpoint: Endpoint, qdiscs: readonly Qdisc[]): Promise<string[]> {
    const { id, bandwidth: { egress } = {} } = endpoint;
    const differences = this.compare(endpoint, qdiscs);
    if (differences.length > 0 || egress === undefined) return differences;
    const targets = await this.#tc.redirects(hostEndName(id));
    return targets.includes(shaperName(id)) ? [] : [lacks(egress, 'from')];
  }

  /** Removes what does not go with the endpoint's pair. */
  async remove({ id, bandwidth }: Pick<Endpoint, 'id' | 'bandwidth'>): Promise<void> {
    if (bandwidth?.egress !== undefined) await deleteIfPresent(this.#ip, shaperName(id));
  }

  async #shape(endpoint: Endpoint, mtu: number, qdiscs: readonly Qdisc[]): Promise<void> {
    const { id, bandwidth: { ingress, egress } = {} } = endpoint;
    const name = hostEndName(id);
    const toward = ingress === undefined ? [] : [limit(name, ingress)];
    if (egress === undefined) return this.#tc.apply(toward);
    const device = shaperName(id);
    const isLed = qdiscs.some((qdisc) => qdisc.device === name && qdisc.kind === 'ingress');
    await this.#makeDevice(endpoint, mtu);
    try {
      await this.#tc.apply([
        ...toward,
        limit(device, egress),
        ...(isLed ? [{ kind: 'stopRedirect', device: name } as const] : []),
        { kind: 'redirect', device: name, to: device },
      ]);
    } catch (error) {
      await deleteIfPresent(this.#ip, device);
      throw error;
    }
  }

  /** No IPv6 of the host's own on it: it is a queue and no way to anywhere. */
  async #makeDevice({ id, network }: Endpoint, mtu: number): Promise<void> {
    const name = shaperName(id);
    const isThere = (await this.#ip.links()).some((link) => link.name === name);
    await this.#ip.apply([
      ...(isThere ? [{ kind: 'deleteLink', name } as const] : []),
      { kind: 'addIfb', name },
    ]);
    try {
      await this.#sysctl.disableIpv6(name);
      const alias = formatMark({ host: this.#host, network, endpoint: id });
      await this.#ip.apply([{ kind: 'setLink', name, mtu, alias, up: true }]);
    } catch (error) {
      await deleteIfPresent(this.#ip, name);
      throw error;
    }
  }
}

function limit(device: string, { rate, burst }: RateLimit): TcCommand {
  const burstBytes = Math.floor(burst / BITS);
  const queueBytes = Math.min(burstBytes + Math.ceil((rate / BITS) * LATENCY_SECONDS), MAX_BYTES);
  return { kind: 'limit', device, rate, burstBytes, queueBytes };
}

function isSame({ kind, rate, burstBytes = 0 }: Qdisc, wanted: RateLimit): boolean {
  const bytes = Math.floor(wanted.rate / BITS);
  if (kind !== 'tbf' || rate !== bytes * BITS) return false;
  const isTold = wanted.burst / wanted.rate < TICK_SECONDS * MAX_TICKS;
  return !isTold || Math.abs(burstBytes - wanted.burst / BITS) <= 2 + 2 * TICK_SECONDS * bytes;
}

const lacks = ({ rate }: RateLimit, way: 'to' | 'from'): string =>
  `no limit of ${rate} bit/s on what goes ${way} it`;

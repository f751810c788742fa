import type { DnsStatus } from '../api/control.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Rng } from '../base/rng.ts';
import { asMillis, formatSocketAddress, type PeerId, type SocketAddress } from '../base/types.ts';
import { zeroCounts, type DnsCounts } from '../dns/counters.ts';
import { Forwarder } from '../dns/forwarder.ts';
import { DNS_PORT, parseNameservers } from '../dns/resolv-conf.ts';
import { Resolver } from '../dns/resolver.ts';
import { DnsServer } from '../dns/server.ts';
import type { DnsSockets, ListenAt } from '../dns/sockets.ts';
import type { Zone } from '../dns/zone.ts';
import type { InterfaceAddress } from '../os/interface-addresses.ts';
import { hostPortName } from '../network/names.ts';
import { Askers } from './askers.ts';
import type { Directory } from './directory.ts';
import type { Fabric } from './fabric.ts';
import type { DaemonOptions } from './options.ts';

/** How soon an address that comes to a bridge, or leaves it, is noticed. */
const LOOK_EVERY = asMillis(1000);

/** What names need of the host: sockets, the addresses of interfaces, the host's own resolv.conf. */
export interface DnsSeam {
  openSockets(counts: DnsCounts): DnsSockets;
  /** Undefined if they can't be told now. */
  interfaceAddresses(
    devices: ReadonlySet<string>,
  ): Promise<readonly InterfaceAddress[] | undefined>;
  /** The text of /etc/resolv.conf as it is now. */
  resolvConf(): string;
}

export interface NameServiceOptions {
  readonly self: PeerId;
  readonly settings: Pick<
    DaemonOptions,
    'dns' | 'dnsDomain' | 'dnsListen' | 'dnsTtl' | 'dnsUpstream'
  >;
  readonly seam: DnsSeam;
  readonly zone: Zone;
  readonly directory: Directory;
  readonly fabric: Fabric;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
}

/**
 * Answers questions for names on every address that a bridge of this host has, and where it is told to
 * beside that. A bridge's address is heard on the bridge alone, so that networks may have the same one;
 * the kernel counts what the host says to its own address as come by the bridge that has it.
 */
export class NameService {
  readonly #options: NameServiceOptions;
  readonly #counts = zeroCounts();
  readonly #askers: Askers;
  readonly #server: DnsServer;
  #timer: Timer | undefined;
  #isStopped = false;
  #turn: Promise<void> = Promise.resolve();

  constructor(options: NameServiceOptions) {
    this.#options = options;
    const { settings, seam, zone, clock, rng, log, self, directory } = options;
    const sockets = seam.openSockets(this.#counts);
    this.#askers = new Askers(self, directory);
    const counts = this.#counts;
    this.#server = new DnsServer({
      ...{ sockets, log, counts },
      resolver: new Resolver({
        ...{ zone, rng, domain: settings.dnsDomain, ttlSeconds: settings.dnsTtl },
      }),
      forwarder: new Forwarder({
        ...{ sockets, clock, rng, counts, upstreams: () => this.#upstreams() },
        isOurs: (server) => this.#isOurs(server),
      }),
      permit: (at, asker) => this.#askers.permit(at, asker),
      version: () => zone.version + this.#askers.version,
    });
  }

  /** Settles when it listens wherever it can by now. */
  async start(): Promise<void> {
    if (this.#options.settings.dns === 'off') return;
    await this.refresh();
    this.#lookAgain();
  }

  /** Listens on the addresses that there are by now. What was seen first is done first. */
  refresh(): Promise<void> {
    this.#turn = this.#turn.then(() => this.#refresh());
    return this.#turn;
  }

  async #refresh(): Promise<void> {
    if (this.#isStopped || this.#options.settings.dns === 'off') return;
    const wanted = await this.#wanted();
    if (wanted !== undefined) await this.#server.listenAt(wanted);
  }

  /** Networks, or endpoints of this host, have changed. */
  changed(): void {
    this.#askers.changed();
  }

  /** A host has come, died, left or been forgotten. */
  membersChanged(): void {
    this.#options.zone.livesChanged();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#turn;
    await this.#server.listenAt([]);
  }

  status(): DnsStatus {
    const text = (at: ListenAt): string => `${formatSocketAddress(at)} (${at.network ?? 'host'})`;
    return {
      domain: this.#options.settings.dnsDomain,
      listening: this.#server.listening().map(text).sort(),
      upstreams: this.#upstreams().map(formatSocketAddress),
      counters: { ...this.#counts },
    };
  }

  /** Sentences: where it should listen and can't. */
  warnings(): readonly string[] {
    return this.#server.failures();
  }

  /** What belongs into the resolv.conf of a network's endpoints on this host, if it answers them. */
  resolvConf(
    network: string,
  ): { readonly servers: readonly string[]; readonly search: readonly string[] } | undefined {
    const servers = this.#server
      .listening()
      .filter((at) => at.network === network)
      .map(({ address }) => address);
    return servers.length === 0
      ? undefined
      : { servers, search: [this.#options.settings.dnsDomain] };
  }

  #lookAgain(): void {
    if (this.#isStopped) return;
    this.#timer = this.#options.clock.after(LOOK_EVERY, () => {
      void this.refresh().then(() => this.#lookAgain());
    });
  }

  /** Undefined if it can't be told now: what is listened at stays. */
  async #wanted(): Promise<readonly ListenAt[] | undefined> {
    const { fabric, seam, settings } = this.#options;
    const networks = new Map(
      fabric.carried().flatMap(({ bridge, network, vni }) => [
        [bridge, network],
        [hostPortName(vni), network],
      ]),
    );
    const addresses = await seam.interfaceAddresses(new Set(networks.keys()));
    if (addresses === undefined) return undefined;
    const onBridges = addresses.map(({ device, index, address }) => ({
      ...{ address, port: DNS_PORT, device: { name: device, index } },
      network: networks.get(device) ?? '',
    }));
    return [...onBridges, ...settings.dnsListen];
  }

  #upstreams(): readonly SocketAddress[] {
    const { settings, seam } = this.#options;
    return settings.dnsUpstream.length > 0
      ? settings.dnsUpstream
      : parseNameservers(seam.resolvConf());
  }

  #isOurs({ address, port }: SocketAddress): boolean {
    return this.#server.listening().some((at) => at.address === address && at.port === port);
  }
}

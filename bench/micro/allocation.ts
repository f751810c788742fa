import { join } from 'node:path';
import { HostSignatures } from '../../src/link/host-signatures.ts';
import { systemClock } from '../../src/base/clock.ts';
import { nullLogger } from '../../src/base/log.ts';
import { randomHex, systemRng } from '../../src/base/rng.ts';
import { asMac, asVni, type PeerId } from '../../src/base/types.ts';
import { Addresses } from '../../src/daemon/addresses.ts';
import { Directory } from '../../src/daemon/directory.ts';
import { Journal } from '../../src/daemon/journal.ts';
import {
  parseEndpointRecord,
  parseNetworkRecord,
  parseUseRecord,
  parseVtepRecord,
} from '../../src/daemon/records.ts';
import { Reservations } from '../../src/daemon/reservations.ts';
import { endpointOwner, ownTable } from '../../src/daemon/row-owners.ts';
import { State } from '../../src/daemon/state.ts';
import { LmdbStore } from '../../src/daemon/store.ts';
import { presets } from '../../src/gossip/config.ts';
import { Mesh } from '../../src/gossip/driver.ts';
import type { Endpoint } from '../../src/network/endpoint.ts';
import type { NetworkDefinition } from '../../src/network/network.ts';
import { temporaryDirectory } from '../lib/temporary.ts';
import type { LatencyResult } from './latency.ts';
import { TimedStore } from './timed-store.ts';

/** Endpoints there before the first sample: the pool is neither empty nor small. */
const PRESENT = 10_000;
const SAMPLES = 2000;
/** The bound for an address from local space, without the disk's flush. */
const MOST_MICROSECONDS = 1000;
const LOCAL = { address: '192.0.2.1', port: 7783 };

/** One host's address space and endpoint table over LMDB, wired as the daemon wires them; no sockets. */
class AllocationHost {
  readonly #store: TimedStore;
  readonly #state: State;
  readonly #journal: Journal;
  readonly #mesh: Mesh;
  readonly #directory: Directory;
  readonly #addresses: Addresses;
  readonly #network: NetworkDefinition;
  #made = 0;

  constructor(directory: string) {
    this.#store = new TimedStore(new LmdbStore(join(directory, 'state.mdb')));
    this.#state = new State(this.#store);
    this.#journal = new Journal(this.#state);
    this.#mesh = meshOf(this.#state);
    const endpoints = this.#mesh.table('endpoints', ownTable(parseEndpointRecord, endpointOwner));
    this.#directory = new Directory(this.#state.id, {
      networks: this.#mesh.table('networks', { validate: parseNetworkRecord }),
      endpoints,
      vteps: this.#mesh.table('vteps', { validate: parseVtepRecord }),
      uses: this.#mesh.table('uses', { validate: parseUseRecord }),
    });
    this.#addresses = new Addresses({
      holds: { has: () => false },
      ...{ mesh: this.#mesh, state: this.#state, directory: this.#directory },
      ...{ clock: systemClock, rng: systemRng, log: nullLogger },
      reservations: new Reservations(this.#state),
      hostName: () => 'bench',
      endpointsLost: () => undefined,
      endpointLeaseMs: 86_400_000,
    });
    endpoints.onChange((change) => this.#addresses.endpointChanged(change));
    this.#network = networkOf(this.#mesh.self.id);
    this.#directory.putNetwork(this.#network);
    this.#addresses.start();
  }

  /** Milliseconds for which the disk was awaited so far. */
  get flushing(): number {
    return this.#store.spent;
  }

  async allocate(): Promise<string> {
    return (await this.#addresses.acquire(this.#network)).address;
  }

  /** What an attach does after the kernel's part: the note, the row, and both on the disk. */
  record(address: string): Promise<void> {
    const endpoint = this.#endpoint(address);
    return this.#journal.during('attach', endpoint, () => {
      this.#directory.putEndpoint(endpoint);
      return Promise.resolve();
    });
  }

  /** Fills the table; on the disk when it settles, by one flush for all. */
  async populate(endpoints: number): Promise<void> {
    for (let count = 0; count < endpoints; count++) {
      this.#directory.putEndpoint(this.#endpoint(await this.allocate()));
    }
    await this.#state.settled();
  }

  async close(): Promise<void> {
    this.#addresses.stop();
    this.#mesh.stop();
    await this.#state.close();
  }

  #endpoint(address: string): Endpoint {
    const number = ++this.#made;
    return {
      ...{ id: randomHex(systemRng, 16), network: this.#network.name, address },
      ...{ host: this.#mesh.self.id, mac: asMac(0x02_00_5e_00_00_00 + number), ifname: 'eth0' },
      sandbox: { path: `/run/netns/bench-${number}`, inode: `${number}` },
    };
  }
}

/** The daemon's mesh, alone: nothing is sent, and nothing comes. */
function meshOf(state: State): Mesh {
  return new Mesh({
    self: { id: state.id, name: 'bench', address: LOCAL },
    signatures: new HostSignatures(state.signingKey),
    ...{ incarnation: 1, label: 'bench', config: presets.lan, seeds: [], rows: state },
    datagrams: { local: LOCAL, send: () => undefined, onReceive: () => undefined },
    streams: {
      local: LOCAL,
      exchange: () => Promise.reject(new Error('the bench has no sockets')),
      onRequest: () => undefined,
      close: () => Promise.resolve(),
    },
    ...{ clock: systemClock, rng: systemRng, log: nullLogger },
  });
}

function networkOf(host: PeerId): NetworkDefinition {
  return {
    ...{ id: randomHex(systemRng, 32), name: 'bench', vni: asVni(5000), subnet: '10.0.0.0/16' },
    ...{ mtu: 1450, encap: 'vxlan', createdBy: host, createdAt: '2026-01-01T00:00:00.000Z' },
    addressing: { founders: [host], leaseSeconds: 300 },
  };
}

/**
 * How long an address from this host's own space takes, through the daemon's own parts and LMDB on the
 * disk that holds the temporary directory: chosen, and recorded as an attach records it.
 */
export async function runAllocationMicro(
  samples = SAMPLES,
  present = PRESENT,
): Promise<LatencyResult[]> {
  const directory = temporaryDirectory('allocation');
  const host = new AllocationHost(directory.path);
  const [chosen, whole, flushed]: [number[], number[], number[]] = [[], [], []];
  try {
    await host.populate(present);
    for (let sample = 0; sample < samples; sample++) {
      const [begin, before] = [performance.now(), host.flushing];
      const address = await host.allocate();
      chosen.push((performance.now() - begin) * 1000);
      await host.record(address);
      whole.push((performance.now() - begin) * 1000);
      flushed.push((host.flushing - before) * 1000);
    }
  } finally {
    await host.close();
    directory.remove();
  }
  const computed = whole.map((time, index) => time - (flushed[index] ?? 0));
  return [
    { name: 'address chosen from local space', samples: chosen, most: MOST_MICROSECONDS },
    {
      name: 'address chosen and recorded, without the disk',
      samples: computed,
      most: MOST_MICROSECONDS,
    },
    { name: '… the disk’s part: 2 flushes', samples: flushed },
    { name: '… all', samples: whole },
  ];
}

import { AppError } from '../../src/base/errors.ts';
import { nullLogger } from '../../src/base/log.ts';
import { seededRng } from '../../src/base/rng.ts';
import { formatSocketAddress, type SocketAddress } from '../../src/base/types.ts';
import { presets } from '../../src/gossip/config.ts';
import { Mesh, type MeshOptions } from '../../src/gossip/driver.ts';
import type { DatagramChannel } from '../../src/underlay/datagram.ts';
import type { StreamTransport } from '../../src/underlay/stream.ts';
import { ManualClock } from '../fakes/manual-clock.ts';
import { FakeSignatures } from '../fakes/fake-signatures.ts';
import { peerId } from './fixtures.ts';

interface Node {
  receive?: (bytes: Buffer, from: SocketAddress) => void;
  answer?: (request: Buffer, from: SocketAddress) => Uint8Array | undefined;
}

/** Meshes of one process on one manual clock; datagrams take a millisecond, exchanges a microtask. */
export class MemoryMesh {
  readonly clock = new ManualClock();
  readonly #nodes = new Map<string, Node>();

  /** A mesh for host `digit`, not yet started. */
  add(digit: string, change: Partial<MeshOptions> = {}): Mesh {
    const address = { address: `192.0.2.${parseInt(digit, 16)}`, port: 7783 };
    const node: Node = {};
    this.#nodes.set(formatSocketAddress(address), node);
    return new Mesh({
      self: { id: peerId(digit), name: `host-${digit}`, address },
      signatures: new FakeSignatures(peerId(digit)),
      incarnation: 0,
      label: 'test',
      config: presets.lan,
      seeds: [],
      datagrams: this.#datagrams(address, node),
      streams: this.#streams(address, node),
      clock: this.clock,
      rng: seededRng(parseInt(digit, 16)),
      log: nullLogger,
      ...change,
    });
  }

  /** Advances in small steps and lets promises settle between them. */
  async run(ms: number): Promise<void> {
    for (let step = 0; step < ms; step += 10) {
      this.clock.advance(10);
      for (let turn = 0; turn < 8; turn++) await Promise.resolve();
    }
  }

  #datagrams(local: SocketAddress, node: Node): DatagramChannel {
    return {
      local,
      send: (bytes, to) => {
        const copy = Buffer.from(bytes);
        this.clock.after(1 as ReturnType<ManualClock['now']>, () => {
          this.#nodes.get(formatSocketAddress(to))?.receive?.(copy, local);
        });
      },
      onReceive: (receive) => {
        node.receive = receive;
      },
    };
  }

  #streams(local: SocketAddress, node: Node): StreamTransport {
    return {
      local,
      exchange: async (to, request) => {
        await Promise.resolve();
        const answer = this.#nodes
          .get(formatSocketAddress(to))
          ?.answer?.(Buffer.from(request), local);
        if (answer !== undefined) return Buffer.from(answer);
        throw new AppError('E_JOIN_UNREACHABLE', `Nothing answers at ${formatSocketAddress(to)}.`);
      },
      onRequest: (answer) => {
        node.answer = answer;
      },
      close: () => Promise.resolve(),
    };
  }
}

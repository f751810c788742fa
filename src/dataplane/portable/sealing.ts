import assert from 'node:assert/strict';
import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import {
  asMillis,
  type Millis,
  type PeerPath,
  type SocketAddress,
  type Vni,
} from '../../base/types.ts';
import { ReplayWindow } from '../../encap/replay-window.ts';
import {
  SEALED_HEADER_BYTES,
  SEALED_OVERHEAD_BYTES,
  SEALED_TAG_BYTES,
  SEALED_WINDOW,
  sealedCounter,
  sealedIndex,
  SEALING_KEY_BYTES,
  sealedNonce,
  type SealingCipher,
  type SealingKey,
  writeSealedHeader,
} from '../../encap/sealed.ts';
import { UNSEALED_HEADER_BYTES, unsealedIndex, writeUnsealedHeader } from '../../encap/unsealed.ts';
import { createTraffic, countReceived, DROP, readTraffic } from '../counters.ts';
import {
  MAX_RECEIVE_KEYS,
  MAX_UNSEALED_SOURCES,
  type PathCounters,
  type Sealing,
} from '../dataplane.ts';
import { relayHeader } from '../relay-header.ts';
import { canonicalAddress, canonicalVtep } from '../vtep-address.ts';

/**
 * Counters are doubles here: a key ends where they stop being exact. That is some 285 years of a million
 * frames a second; the control plane ends a key after minutes.
 */
const MAX_COUNTER = Number.MAX_SAFE_INTEGER;
const NO_HEADER = Buffer.alloc(0);

/** A key that we seal with. */
interface SendKey {
  readonly cipher: SealingCipher;
  readonly key: Uint8Array;
  readonly index: number;
  nextCounter: number;
}

/** A key that a peer seals with for us. */
interface ReceiveKey {
  readonly cipher: SealingCipher;
  readonly key: Uint8Array;
  readonly peer: SealedPeer;
  readonly window: ReplayWindow;
}

/** A host that sealed VTEPs, keys or a path speak of. */
export class SealedPeer {
  readonly address: string;
  traffic = createTraffic();
  sendKey: SendKey | undefined;
  /** Where its datagrams go; `undefined`: to its VTEPs. */
  to: SocketAddress | undefined;
  /** What each of them begins with: a relay header, or nothing. */
  header: Buffer = NO_HEADER;
  /** They go there in the clear. */
  isUnsealed = false;
  /** From where its frames are taken in the clear. */
  unsealedSources: readonly SocketAddress[] = [];
  lastReceived: Millis | undefined;

  constructor(address: string) {
    this.address = address;
  }
}

/**
 * The keys and paths of sealed frames, and the sealing itself, on node:crypto, which makes an object for
 * each frame.
 */
export class PortableSealing implements Sealing {
  readonly #clock: Clock;
  readonly #peers = new Map<string, SealedPeer>();
  readonly #receiveKeys = new Map<number, ReceiveKey>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The peer whose VTEPs have this address, in canonical spelling. Made when it is first asked for. */
  peer(address: string): SealedPeer {
    const known = this.#peers.get(address);
    if (known !== undefined) return known;
    const made = new SealedPeer(address);
    this.#peers.set(address, made);
    return made;
  }

  setSendKey(address: string, { cipher, key, index }: SealingKey): void {
    assert(key.length === SEALING_KEY_BYTES);
    this.peer(canonicalAddress(address)).sendKey = {
      ...{ cipher, index, key: Uint8Array.from(key) },
      nextCounter: 0,
    };
  }

  clearSendKey(address: string): void {
    this.peer(canonicalAddress(address)).sendKey = undefined;
  }

  addReceiveKey(address: string, { cipher, key, index }: SealingKey): void {
    const peer = this.peer(canonicalAddress(address));
    assert(key.length === SEALING_KEY_BYTES && !this.#receiveKeys.has(index));
    const epochs = [...this.#receiveKeys.values()].filter((each) => each.peer === peer).length;
    assert(epochs < MAX_RECEIVE_KEYS);
    const window = new ReplayWindow(SEALED_WINDOW);
    this.#receiveKeys.set(index, { cipher, peer, window, key: Uint8Array.from(key) });
  }

  removeReceiveKey(index: number): void {
    this.#receiveKeys.delete(index);
  }

  setPath(address: string, path: PeerPath | undefined): void {
    const peer = this.peer(canonicalAddress(address));
    peer.to = path && canonicalVtep(path.to);
    peer.header = path?.relayTag === undefined ? NO_HEADER : relayHeader(path.relayTag);
    peer.isUnsealed = path?.isUnsealed ?? false;
    assert(!peer.isUnsealed || path?.relayTag === undefined, 'what is relayed is sealed');
    peer.traffic = createTraffic();
  }

  setUnsealedSources(address: string, sources: readonly SocketAddress[]): void {
    assert(sources.length <= MAX_UNSEALED_SOURCES);
    this.peer(canonicalAddress(address)).unsealedSources = sources.map(canonicalVtep);
  }

  counters(address: string): PathCounters {
    const peer = this.#peers.get(canonicalAddress(address));
    const silence =
      peer?.lastReceived === undefined
        ? undefined
        : asMillis(this.#clock.now() - peer.lastReceived);
    return { ...readTraffic(peer?.traffic ?? createTraffic()), silence };
  }

  /** As `seal` does, on a way where the frame goes in the clear. */
  wrapUnsealed({ sendKey }: SealedPeer, vni: Vni, frame: Buffer): Buffer | number {
    if (sendKey === undefined) return DROP.sealed_no_key;
    const datagram = Buffer.allocUnsafe(UNSEALED_HEADER_BYTES + frame.length);
    writeUnsealedHeader(datagram, vni, sendKey.index);
    frame.copy(datagram, UNSEALED_HEADER_BYTES);
    return datagram;
  }

  /** The peer that may send this in the clear from there; its frame follows the header. Or the drop counter. */
  takeUnsealed(datagram: Buffer, address: string, port: number): SealedPeer | number {
    if (datagram.length < UNSEALED_HEADER_BYTES) return DROP.unsealed_short;
    const peer = this.#receiveKeys.get(unsealedIndex(datagram))?.peer;
    if (peer === undefined) return DROP.unsealed_unknown;
    if (!isAmong(peer.unsealedSources, address, port)) return DROP.unsealed_not_agreed;
    this.#received(peer, datagram.length - UNSEALED_HEADER_BYTES);
    return peer;
  }

  #received(peer: SealedPeer, frameBytes: number): void {
    peer.lastReceived = this.#clock.now();
    countReceived(peer.traffic, frameBytes);
  }

  /**
   * Seals a frame for a peer, whose counter it takes. Returns the datagram, which is nobody else's, or the
   * drop counter.
   */
  seal(peer: SealedPeer, vni: Vni, frame: Buffer): Buffer | number {
    const { sendKey, header } = peer;
    if (sendKey === undefined) return DROP.sealed_no_key;
    if (sendKey.nextCounter > MAX_COUNTER) return DROP.sealed_key_exhausted;
    const { cipher, key, index } = sendKey;
    const datagram = Buffer.allocUnsafe(header.length + frame.length + SEALED_OVERHEAD_BYTES);
    header.copy(datagram);
    const associated = datagram.subarray(header.length, header.length + SEALED_HEADER_BYTES);
    writeSealedHeader(associated, { vni, index, counter: sendKey.nextCounter++ });
    const sealing = createCipher(cipher, key, sealedNonce(associated));
    sealing.setAAD(associated, { plaintextLength: frame.length });
    let at = header.length + SEALED_HEADER_BYTES;
    at += sealing.update(frame).copy(datagram, at);
    sealing.final();
    sealing.getAuthTag().copy(datagram, at);
    return datagram;
  }

  /**
   * Opens a datagram in place: the frame is `datagram[SEALED_HEADER_BYTES, length - SEALED_TAG_BYTES)` then.
   * Returns the peer that sealed it, or the drop counter.
   */
  open(datagram: Buffer): SealedPeer | number {
    if (datagram.length < SEALED_OVERHEAD_BYTES) return DROP.sealed_short;
    const known = this.#receiveKeys.get(sealedIndex(datagram));
    if (known === undefined) return DROP.sealed_session_unknown;
    const counter = sealedCounter(datagram);
    if (counter > MAX_COUNTER || !known.window.isNew(counter)) return DROP.sealed_replayed;
    if (!decrypt(known, datagram)) return DROP.sealed_forged;
    known.window.note(counter);
    const { peer } = known;
    this.#received(peer, datagram.length - SEALED_OVERHEAD_BYTES);
    return peer;
  }
}

function isAmong(sources: readonly SocketAddress[], address: string, port: number): boolean {
  for (const source of sources) {
    if (source.port === port && source.address === address) return true;
  }
  return false;
}

function decrypt({ cipher, key }: ReceiveKey, datagram: Buffer): boolean {
  const associated = datagram.subarray(0, SEALED_HEADER_BYTES);
  const tagAt = datagram.length - SEALED_TAG_BYTES;
  const opening = createDecipher(cipher, key, sealedNonce(associated));
  opening.setAAD(associated, { plaintextLength: tagAt - SEALED_HEADER_BYTES });
  opening.setAuthTag(datagram.subarray(tagAt));
  const frame = opening.update(datagram.subarray(SEALED_HEADER_BYTES, tagAt));
  try {
    opening.final();
  } catch {
    // The only way in which node:crypto says that the tag is wrong.
    return false;
  }
  frame.copy(datagram, SEALED_HEADER_BYTES);
  return true;
}

const TAG = { authTagLength: SEALED_TAG_BYTES } as const;

/** Each cipher has its own overload. */
function createCipher(cipher: SealingCipher, key: Uint8Array, nonce: Uint8Array) {
  return cipher === 'aes-256-gcm'
    ? createCipheriv(cipher, key, nonce, TAG)
    : createCipheriv(cipher, key, nonce, TAG);
}

function createDecipher(cipher: SealingCipher, key: Uint8Array, nonce: Uint8Array) {
  return cipher === 'aes-256-gcm'
    ? createDecipheriv(cipher, key, nonce, TAG)
    : createDecipheriv(cipher, key, nonce, TAG);
}

import type { NetworkEncapsulation } from './encapsulation.ts';
import { INNER_ETHERNET_BYTES, OUTER_UDP_BYTES, outerIpBytes, type IpFamily } from './mtu.ts';

/**
 * Sealed frames (docs/wire-format.md) as far as the control plane knows them: what they cost, and what their
 * keys are. Sealing and opening is `native/core/sealed.hpp`'s.
 */
const SEALED_HEADER_BYTES = 16;
const SEALED_TAG_BYTES = 16;

export type SealingCipher = 'aes-256-gcm' | 'chacha20-poly1305';

/** A key for sealed frames in one direction. */
export interface SealingKey {
  readonly cipher: SealingCipher;
  /** 32 bytes; copied, so the caller may wipe them when the call returns. Never used before. */
  readonly key: Uint8Array;
  /** 0 to 2^32 - 1, chosen by the receiver, unique among its keys: which key a datagram was sealed with. */
  readonly index: number;
}

export const sealed: NetworkEncapsulation = {
  name: 'sealed',
  overheadBytes: (family: IpFamily) =>
    outerIpBytes(family) +
    OUTER_UDP_BYTES +
    SEALED_HEADER_BYTES +
    INNER_ETHERNET_BYTES +
    SEALED_TAG_BYTES,
};

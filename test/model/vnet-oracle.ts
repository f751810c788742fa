/** The virtio-net header before each frame of a TAP (virtio 1.2 §5.1.6), 10 bytes, little-endian here. */
export interface SlowVnet {
  readonly flags: number;
  readonly gsoType: number;
  readonly headerBytes: number;
  readonly gsoSize: number;
  readonly checksumStart: number;
  readonly checksumOffset: number;
}

export const VNET_BYTES = 10;
export const NEEDS_CHECKSUM = 1;
export const DATA_VALID = 2;
export const GSO = { none: 0, tcp4: 1, tcp6: 4, udp: 5, ecn: 0x80 } as const;

export const NO_VNET: SlowVnet = {
  flags: 0,
  gsoType: GSO.none,
  headerBytes: 0,
  gsoSize: 0,
  checksumStart: 0,
  checksumOffset: 0,
};

export function readVnet(bytes: Buffer): SlowVnet {
  return {
    flags: bytes.readUInt8(0),
    gsoType: bytes.readUInt8(1),
    headerBytes: bytes.readUInt16LE(2),
    gsoSize: bytes.readUInt16LE(4),
    checksumStart: bytes.readUInt16LE(6),
    checksumOffset: bytes.readUInt16LE(8),
  };
}

export function writeVnet(vnet: SlowVnet): Buffer {
  const bytes = Buffer.alloc(VNET_BYTES);
  bytes.writeUInt8(vnet.flags, 0);
  bytes.writeUInt8(vnet.gsoType, 1);
  bytes.writeUInt16LE(vnet.headerBytes, 2);
  bytes.writeUInt16LE(vnet.gsoSize, 4);
  bytes.writeUInt16LE(vnet.checksumStart, 6);
  bytes.writeUInt16LE(vnet.checksumOffset, 8);
  return bytes;
}

/** The kind of super-frame that holds such segments. */
export function gsoTypeFor(kind: string, version: 4 | 6): number {
  if (kind === 'udp') return GSO.udp;
  return version === 4 ? GSO.tcp4 : GSO.tcp6;
}

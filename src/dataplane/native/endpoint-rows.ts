import type { EndpointUpdate } from '../dataplane.ts';

/**
 * Changes to endpoints as the addon reads them (native/binding/native-plane.cpp): a row for each address,
 * or one without for an endpoint that has none. Big-endian.
 *
 *   0            6        7    8           12        16               32
 *   | MAC (48)   | family | 0  | VTEP id   |    0    | address, 4 or 16 bytes |
 *
 * VTEP id 0 forgets the endpoint; family is 4, 6, or 0 for no address.
 */
const FAMILY_AT = 6;
const VTEP_AT = 8;
const ADDRESS_AT = 16;
const ROW_BYTES = 32;

/** The rows of `updates`. `vtepId` names an address' VTEP; what is set behind one it does not know is left out. */
export function endpointRows(
  updates: readonly EndpointUpdate[],
  vtepId: (address: string) => number | undefined,
): Buffer {
  const rows = updates.reduce((sum, { addresses }) => sum + Math.max(1, addresses.length), 0);
  const bytes = Buffer.alloc(rows * ROW_BYTES);
  let at = 0;
  for (const { kind, mac, vtep, addresses } of updates) {
    const id = kind === 'remove' ? 0 : vtepId(vtep);
    if (id === undefined) continue;
    for (let index = 0; index === 0 || index < addresses.length; index++) {
      bytes.writeUIntBE(mac, at, FAMILY_AT);
      bytes.writeUInt32BE(id, at + VTEP_AT);
      const address = addresses[index];
      if (address !== undefined) {
        bytes[at + FAMILY_AT] = address.length === 4 ? 4 : 6;
        bytes.set(address, at + ADDRESS_AT);
      }
      at += ROW_BYTES;
    }
  }
  return bytes.subarray(0, at);
}

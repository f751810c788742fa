/** The Internet checksum by the letter of RFC 1071 §1: add with end-around carry, word by word. */
export function slowChecksum(bytes: Uint8Array): number {
  const padded = [...bytes, ...(bytes.length % 2 === 1 ? [0] : [])];
  let sum = 0;
  for (let at = 0; at < padded.length; at += 2) {
    sum += (padded[at] ?? 0) * 256 + (padded[at + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return 0xffff - sum;
}

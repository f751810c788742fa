import { readU16, writeU16 } from '../wire/bytes.ts';
import { addToSum, foldSum } from '../wire/checksum.ts';
import { IP_PROTOCOL, IPV4_HEADER_BYTES } from '../wire/ipv4.ts';
import { IPV6_HEADER_BYTES } from '../wire/ipv6.ts';
import { isTcpSyn, TCP_CHECKSUM_AT, TCP_HEADER_BYTES, tcpHeaderBytes } from '../wire/tcp.ts';
import { visitTransport } from '../wire/transport.ts';

const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_MSS = 2;
const MSS_OPTION_BYTES = 4;
const MSS_VALUE_AT = 2;
const KIND_AND_LENGTH = 2;

/**
 * Lowers the maximum segment size that a TCP SYN announces (RFC 9293 §3.7.1) to what packets of `mtu` bytes
 * hold behind headers without options: the other end may never hear that longer ones do not pass (RFC 2923
 * §2.1). Mends the checksum by the difference (RFC 1624). Anything but such a frame in `buf[start, end)` is
 * left as it is. native/core/mss-clamp.cpp does the same.
 */
export function clampMss(buf: Uint8Array, start: number, end: number, mtu: number): void {
  visitTransport(buf, start, end, clampTcp, mtu);
}

function clampTcp(
  buf: Uint8Array,
  tcp: number,
  end: number,
  protocol: number,
  isIpv6: boolean,
  mtu: number,
): void {
  const most = mtu - (isIpv6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES) - TCP_HEADER_BYTES;
  if (protocol !== IP_PROTOCOL.tcp || tcp + TCP_HEADER_BYTES > end || most <= 0) return;
  if (!isTcpSyn(buf, tcp)) return;
  const payload = tcp + tcpHeaderBytes(buf, tcp);
  const at = payload > end ? 0 : findMss(buf, tcp, payload);
  if (at === 0 || readU16(buf, at) <= most) return;
  // The value may lie across two words of the sum: both are taken.
  const words = at - ((at - tcp) % 2);
  const wordsEnd = at === words ? at + 2 : words + 4;
  const before = addToSum(buf, words, wordsEnd);
  writeU16(buf, at, most);
  const checksumAt = tcp + TCP_CHECKSUM_AT;
  const whole = ~readU16(buf, checksumAt) & 0xffff;
  writeU16(buf, checksumAt, foldSum(addToSum(buf, words, wordsEnd, whole + foldSum(before))));
}

/** Offset of the value; 0 if there is no such option. */
function findMss(buf: Uint8Array, tcp: number, payload: number): number {
  for (let at = tcp + TCP_HEADER_BYTES; at + MSS_OPTION_BYTES <= payload;) {
    const [kind, length] = [buf[at]!, buf[at + 1]!];
    if (kind === OPTION_END) return 0;
    if (kind === OPTION_MSS && length === MSS_OPTION_BYTES) return at + MSS_VALUE_AT;
    // A length below that of kind and length would lead nowhere.
    if (kind !== OPTION_NOP && length < KIND_AND_LENGTH) return 0;
    at += kind === OPTION_NOP ? 1 : length;
  }
  return 0;
}

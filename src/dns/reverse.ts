import { canonicalAddress } from '../wire/cidr.ts';

const V4 = '.in-addr.arpa';
const V6 = '.ip6.arpa';
const V4_LABELS = 4;
const V6_LABELS = 32;

/** Whether a lower-case name lies where addresses are looked up by name (RFC 1035 §3.5, RFC 3596 §2.5). */
export const isReverse = (name: string): boolean => name.endsWith(V4) || name.endsWith(V6);

/**
 * The address that a lower-case reverse name stands for, in canonical text:
 * `2.0.7.10.in-addr.arpa` is 10.7.0.2. Undefined for anything else.
 */
export function reverseAddress(name: string): string | undefined {
  if (name.endsWith(V4)) {
    const parts = name.slice(0, -V4.length).split('.');
    return parts.length === V4_LABELS ? canonicalAddress(parts.reverse().join('.')) : undefined;
  }
  if (!name.endsWith(V6)) return undefined;
  const digits = name.slice(0, -V6.length).split('.');
  if (digits.length !== V6_LABELS || digits.some((digit) => digit.length !== 1)) return undefined;
  return canonicalAddress((digits.reverse().join('').match(/.{4}/g) ?? []).join(':'));
}

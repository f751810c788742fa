/** Limits of a name in DNS (RFC 1035 §2.3.4), in its usual text form without the last dot. */
export const MAX_LABEL_CHARACTERS = 63;
export const MAX_NAME_CHARACTERS = 253;

/** Host names (RFC 1123 §2.1) and underscores, which container engines put into names. */
const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
/** A name as `canonicalDnsName` returns it, but for its whole length. */
export const CANONICAL_DNS_NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);

/**
 * A DNS name in lower case and without a last dot, or undefined if `text` is none: labels of 1 to 63
 * letters, digits, dashes and underscores with no dash at either end, 253 characters in all.
 */
export function canonicalDnsName(text: string): string | undefined {
  const name = text.toLowerCase().replace(/\.$/, '');
  return name.length <= MAX_NAME_CHARACTERS && CANONICAL_DNS_NAME.test(name) ? name : undefined;
}

/** What `canonicalDnsName` wants, for the end of a sentence. */
export const DNS_NAME_RULE =
  'give labels of 1 to 63 letters, digits, dashes or underscores with no dash at either end, joined by dots, 253 characters at most';

import { canonicalDnsName, DNS_NAME_RULE } from '../base/dns-name.ts';
import { AppError } from '../base/errors.ts';

/** As many names as one endpoint may have. */
export const MAX_ENDPOINT_NAMES = 16;

/** Reads one name that is to be found by DNS, in lower case. Rejects with E_NAME_INVALID. */
export function checkDnsName(text: string): string {
  const name = canonicalDnsName(text);
  if (name !== undefined) return name;
  throw new AppError('E_NAME_INVALID', `"${text}" is no DNS name; ${DNS_NAME_RULE}.`);
}

/** Reads an endpoint's names: in lower case, each once, in the order given. Rejects with E_NAME_INVALID. */
export function checkEndpointNames(texts: readonly string[]): readonly string[] {
  const names = [...new Set(texts.map(checkDnsName))];
  if (names.length <= MAX_ENDPOINT_NAMES) return names;
  throw new AppError(
    'E_NAME_INVALID',
    `${names.length} names are too many for an endpoint; give at most ${MAX_ENDPOINT_NAMES}.`,
  );
}

import { hash } from 'node:crypto';

/** The first `words` 32-bit words of a text's SHA-1, signed. About a microsecond. */
export function hashWords(text: string, words: number): number[] {
  const digest = hash('sha1', text, 'hex');
  return Array.from(
    { length: words },
    (_, word) => Number.parseInt(digest.slice(8 * word, 8 * word + 8), 16) | 0,
  );
}

/** What one message does, in order (Noise §5.3, §9). */
export type Token = 'e' | 's' | 'ee' | 'es' | 'se' | 'ss' | 'psk';

export interface HandshakePattern {
  readonly name: string;
  /** Whether the initiator knows the responder's static key before the first message (`<- s`). */
  readonly knowsResponder: boolean;
  /** Message by message; the initiator sends the first. */
  readonly messages: readonly (readonly Token[])[];
}

const pattern = (
  name: string,
  knowsResponder: boolean,
  ...messages: readonly (readonly Token[])[]
): HandshakePattern => ({ name, knowsResponder, messages });

/** Noise §7.5 and §9.4, those that Weft uses and the same without pre-shared keys. */
export const PATTERNS = {
  XX: pattern('XX', false, ['e'], ['e', 'ee', 's', 'es'], ['s', 'se']),
  IK: pattern('IK', true, ['e', 'es', 's', 'ss'], ['e', 'ee', 'se']),
  XXpsk3: pattern('XXpsk3', false, ['e'], ['e', 'ee', 's', 'es'], ['s', 'se', 'psk']),
  IKpsk2: pattern('IKpsk2', true, ['e', 'es', 's', 'ss'], ['e', 'ee', 'se', 'psk']),
} as const satisfies Readonly<Record<string, HandshakePattern>>;

export type PatternName = keyof typeof PATTERNS;

/** Whether a pattern mixes a pre-shared key, and then an ephemeral key into the chaining key (§9.2). */
export function usesPsk({ messages }: HandshakePattern): boolean {
  return messages.some((tokens) => tokens.includes('psk'));
}

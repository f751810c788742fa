/**
 * MTU probes and their answers on the mesh port, as control datagrams:
 *
 *   probe    | 0x58 | token 64 | zeros up to the size that is probed |
 *   answer   | 0x59 | token 64 | bytes of the probe as it arrived 32 |
 *
 * The token is the sender's and can't be guessed: who does not see the probe can't answer it. An answer is
 * never longer than its probe, so that nobody is made to send more than he was sent.
 */
export const PROBE_KIND = 0x58;
export const ANSWER_KIND = 0x59;

const TOKEN_BYTES = 8;
const SIZE_AT = 1 + TOKEN_BYTES;
const ANSWER_BYTES = SIZE_AT + 4;

/** Hex digits of a token. */
export const TOKEN_DIGITS = 2 * TOKEN_BYTES;
/** A probe of fewer bytes is not answered. */
export const LEAST_PROBE_BYTES = ANSWER_BYTES;

/** `bytes` at least `LEAST_PROBE_BYTES`; `token` of `TOKEN_DIGITS` hex digits. */
export function encodeProbe(token: string, bytes: number): Buffer {
  const probe = Buffer.alloc(bytes);
  probe[0] = PROBE_KIND;
  probe.write(token, 1, 'hex');
  return probe;
}

/** The answer to a datagram of kind `PROBE_KIND`; undefined if that is no probe. */
export function answerProbe(probe: Buffer): Buffer | undefined {
  if (probe.length < LEAST_PROBE_BYTES) return undefined;
  const answer = Buffer.alloc(ANSWER_BYTES);
  probe.copy(answer, 0, 0, SIZE_AT);
  answer[0] = ANSWER_KIND;
  answer.writeUInt32BE(probe.length, SIZE_AT);
  return answer;
}

export interface ProbeAnswer {
  readonly token: string;
  /** Bytes of the probe's datagram as it arrived. */
  readonly bytes: number;
}

/** Reads a datagram of kind `ANSWER_KIND`; undefined if it is none. */
export function parseAnswer(answer: Buffer): ProbeAnswer | undefined {
  if (answer.length !== ANSWER_BYTES) return undefined;
  return { token: answer.toString('hex', 1, SIZE_AT), bytes: answer.readUInt32BE(SIZE_AT) };
}

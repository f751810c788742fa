import type { DnsCounter } from './counters.ts';
import { withId } from './packet.ts';

/** More questions than the containers of one host ask within the time between two changes. */
const CAPACITY = 1024;
/** Where the id of a message ends (RFC 1035 §4.1.1). */
const ID_BYTES = 2;
/** What a resolver sends (RFC 1035 §4.2.1); longer questions are answered, and not kept. */
const MAX_QUESTION_BYTES = 512;

/** An answer as it was sent, and what it counts as. */
export interface KeptAnswer {
  readonly bytes: Buffer;
  readonly counts: readonly DnsCounter[];
}

/**
 * Answers by the bytes of their questions, but for the id, and by who asked: to find one costs a twentieth of
 * making it. All go when anything has changed that any of them could depend on, so that none is ever older
 * than the tables; nothing here knows of time.
 */
export class AnswerCache {
  readonly #answers = new Map<string, KeptAnswer>();
  #version = 0;

  /** The answer to the question under its id; undefined if there is none of this version. */
  find(question: Buffer, asker: string, version: number): KeptAnswer | undefined {
    if (version !== this.#version) this.#answers.clear();
    this.#version = version;
    const kept = this.#answers.get(keyOf(question, asker));
    return kept && { bytes: withId(kept.bytes, question.readUInt16BE(0)), counts: kept.counts };
  }

  /** Right after `find` found nothing: the version is the same. The bytes are copied. */
  keep(question: Buffer, asker: string, { bytes, counts }: KeptAnswer): void {
    if (question.length > MAX_QUESTION_BYTES) return;
    // Whoever asks for ever new names gains nothing, and others lose little.
    if (this.#answers.size >= CAPACITY) this.#answers.clear();
    this.#answers.set(keyOf(question, asker), { bytes: Buffer.from(bytes), counts });
  }

  get size(): number {
    return this.#answers.size;
  }
}

const keyOf = (question: Buffer, asker: string): string =>
  `${asker} ${question.toString('latin1', ID_BYTES)}`;

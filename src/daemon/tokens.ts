import { AppError, isAppError } from '../base/errors.ts';
import type { TokenInfo, TokenRequest, TokenText } from '../api/control.ts';
import type { Invitations } from '../link/invitation.ts';
import { formatToken, makeToken } from '../link/token.ts';
import type { State } from './state.ts';

/** A token as it lies on disk. Times are milliseconds since 1970. */
export interface TokenRecord {
  readonly id: string;
  /** Hex; gone once the token is revoked. */
  readonly key?: string;
  readonly uses: number;
  /** Static keys of the hosts that have used it, in hex. */
  readonly joiners: readonly string[];
  readonly createdAt: number;
  readonly expiresAt: number;
}

export const TOKEN_TTL_SECONDS = { least: 1, most: 30 * 86_400, default: 3_600 } as const;
export const TOKEN_USES = { least: 1, most: 10_000, default: 1 } as const;
/** Tokens that can be used no more are told from unknown ones for so long. */
const REMEMBERED_FOR = 7 * 86_400_000;
const MAX_TOKENS = 1000;

interface TokensOptions {
  readonly state: State;
  readonly wallNow: () => number;
}

/** The invitations that this host has made. Every change is on disk before it is answered. */
export class Tokens implements Invitations {
  readonly #options: TokensOptions;
  readonly #tokens: Map<string, TokenRecord>;

  constructor(options: TokensOptions) {
    this.#options = options;
    this.#tokens = new Map(options.state.tokens().map((token) => [token.id, token]));
  }

  /** E_USAGE for what is out of range, E_STATE if the disk refuses. */
  create({ ttlSeconds, uses }: TokenRequest): TokenText {
    const ttl = inRange('ttl', ttlSeconds ?? TOKEN_TTL_SECONDS.default, TOKEN_TTL_SECONDS);
    const count = inRange('uses', uses ?? TOKEN_USES.default, TOKEN_USES);
    this.#collect();
    if (this.#tokens.size >= MAX_TOKENS) {
      throw new AppError(
        'E_USAGE',
        `This host has ${MAX_TOKENS} tokens, which is the most; make one with more uses instead.`,
      );
    }
    const { state, wallNow } = this.#options;
    const token = makeToken(state.keyring.meshId);
    const createdAt = wallNow();
    this.#save({
      ...{ id: token.id, key: token.key.toString('hex'), uses: count, joiners: [], createdAt },
      expiresAt: createdAt + ttl * 1000,
    });
    return { id: token.id, token: formatToken(token) };
  }

  list(): TokenInfo[] {
    const { wallNow } = this.#options;
    return [...this.#tokens.values()].map((token) => ({
      ...{ id: token.id, state: stateOf(token, wallNow()), uses: token.uses },
      ...{ used: token.joiners.length, expiresAt: new Date(token.expiresAt).toISOString() },
    }));
  }

  /** E_TOKEN_MISSING if there is none with that id. One that is revoked already stays so. */
  revoke(id: string): void {
    const token = this.#tokens.get(id);
    if (token === undefined) {
      throw new AppError(
        'E_TOKEN_MISSING',
        `This host has made no token ${id}; "weft token ls" lists those that it has made.`,
      );
    }
    const { uses, joiners, createdAt, expiresAt } = token;
    this.#save({ id, uses, joiners, createdAt, expiresAt });
  }

  keyOf(id: string): Buffer | 'unknown' | 'expired' | 'revoked' {
    const token = this.#tokens.get(id);
    if (token === undefined) return 'unknown';
    if (token.key === undefined) return 'revoked';
    if (token.expiresAt <= this.#options.wallNow()) return 'expired';
    return Buffer.from(token.key, 'hex');
  }

  use(id: string, joiner: Uint8Array): 'used' | 'spent' | 'failed' {
    const token = this.#tokens.get(id);
    const name = Buffer.from(joiner).toString('hex');
    if (token === undefined) return 'failed';
    if (token.joiners.includes(name)) return 'used';
    if (token.joiners.length >= token.uses) return 'spent';
    try {
      this.#save({ ...token, joiners: [...token.joiners, name] });
      return 'used';
    } catch (error) {
      if (isAppError(error, 'E_STATE')) return 'failed';
      throw error;
    }
  }

  #save(token: TokenRecord): void {
    this.#options.state.saveToken(token);
    this.#tokens.set(token.id, token);
  }

  #collect(): void {
    const oldest = this.#options.wallNow() - REMEMBERED_FOR;
    for (const { id, expiresAt } of this.#tokens.values()) {
      if (expiresAt >= oldest) continue;
      this.#options.state.dropToken(id);
      this.#tokens.delete(id);
    }
  }
}

function stateOf(token: TokenRecord, now: number): TokenInfo['state'] {
  if (token.key === undefined) return 'revoked';
  if (token.expiresAt <= now) return 'expired';
  return token.joiners.length >= token.uses ? 'spent' : 'valid';
}

function inRange(
  name: string,
  value: number,
  { least, most }: { readonly least: number; readonly most: number },
): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  const unit = name === 'ttl' ? ' seconds' : '';
  throw new AppError(
    'E_USAGE',
    `The ${name} of a token is ${value}${unit}; choose ${least} to ${most}${unit}.`,
  );
}

import { AppError } from '../base/errors.ts';
import { asMillis, type SocketAddress } from '../base/types.ts';
import type { Mesh } from '../gossip/driver.ts';
import { isActive } from '../gossip/member.ts';
import { askForKeys, type JoinRefusal } from '../link/invitation.ts';
import type { Keyring } from '../link/keyring.ts';
import { BARE_KIND, type MeshStreams } from '../link/mesh-streams.ts';
import { parseToken, type Token } from '../link/token.ts';
import { memberMeta } from './peers.ts';
import type { State } from './state.ts';

/** For each of the two questions. */
const ANSWER_WITHIN = asMillis(5_000);

const SENTENCES: Readonly<Record<JoinRefusal | 'silent', (at: string) => string>> = {
  unknown: (at) => `The host at ${at} has made no such token; join at the host that printed it.`,
  expired: (at) => `The token has expired; have "weft token" print another at ${at}.`,
  spent: (at) =>
    `The token was used as often as it may be; have "weft token" print another at ${at}.`,
  revoked: (at) => `The token was revoked; have "weft token" print another at ${at}.`,
  wrong: (at) => `The token is not the one that ${at} printed; copy it again, or make another.`,
  busy: (at) => `Too many hosts ask ${at} to join; try again in some seconds.`,
  lost: (at) => `The host at ${at} gave the joining up halfway; try again.`,
  expelled: (at) =>
    `This host is expelled from the mesh of ${at}; "weft expel --undo" there takes it back.`,
  failed: (at) => `The host at ${at} can't write to its disk that the token was used; see there.`,
  silent: (at) =>
    `The host at ${at} does not answer with this token; check that Weft runs there and that the address is right.`,
};

/** E_TOKEN_INVALID if the word is no token. */
export function readToken(word: string): Token {
  const token = parseToken(word.trim());
  if (token !== undefined) return token;
  throw new AppError(
    'E_TOKEN_INVALID',
    'The token is none, or not whole; give the one word that "weft token" printed.',
  );
}

export interface JoiningOptions {
  readonly mesh: Mesh;
  readonly state: State;
  readonly streams: MeshStreams;
}

/** Gets the keys of a mesh for a token. */
export class Joining {
  readonly #options: JoiningOptions;

  constructor(options: JoiningOptions) {
    this.#options = options;
  }

  /**
   * Fetches the keys; undefined if this host is of that mesh, and hears of other hosts there. E_TOKEN_REFUSED with the reason, or
   * E_MESH_SHARED if hosts that share this one's keys would be left behind. Changes nothing here.
   */
  async fetch(token: Token, at: SocketAddress, target: string): Promise<Keyring | undefined> {
    const { mesh, state, streams } = this.#options;
    const own = state.keyring.meshId;
    const companions = mesh
      .members()
      .filter((member) => isActive(member) && memberMeta(member)?.mesh === own);
    if (token.meshId === own && companions.length > 0) return undefined;
    if (companions.length > 0) {
      const names = companions.map(({ name }) => name).slice(0, 3);
      throw new AppError(
        'E_MESH_SHARED',
        `This host shares its keys with ${names.join(', ')}, of another mesh than the token's; "weft leave" first, then join.`,
      );
    }
    const keyring = await askForKeys(token, state.identity, (question) =>
      streams.askBare(BARE_KIND.joining, at, question, ANSWER_WITHIN),
    );
    if (typeof keyring === 'string') {
      throw new AppError('E_TOKEN_REFUSED', SENTENCES[keyring](target));
    }
    return keyring;
  }
}

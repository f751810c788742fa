import { AppError } from '../base/errors.ts';
import { asMillis, type SocketAddress } from '../base/types.ts';
import type { Mesh } from '../gossip/driver.ts';
import { isActive } from '../gossip/member.ts';
import { askForSecret, JOIN_SERVICE, type JoinRefusal } from '../link/invitation.ts';
import { meshIdOf } from '../link/mesh-secret.ts';
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
  /** The secret is another by now. */
  readonly secretChanged: () => void;
}

/** Gets the secret of a mesh for a token, and makes it this host's own. */
export class Joining {
  readonly #options: JoiningOptions;

  constructor(options: JoiningOptions) {
    this.#options = options;
  }

  /**
   * Fetches the secret; undefined if this host has it already. E_TOKEN_REFUSED with the reason, or
   * E_MESH_SHARED if hosts that share this one's secret would be left behind. Changes nothing here.
   */
  async fetch(token: Token, at: SocketAddress, target: string): Promise<Buffer | undefined> {
    const { mesh, state } = this.#options;
    const own = meshIdOf(state.meshSecret);
    if (token.meshId === own) return undefined;
    const companions = mesh
      .members()
      .filter((member) => isActive(member) && memberMeta(member)?.mesh === own);
    if (companions.length > 0) {
      const names = companions.map(({ name }) => name).slice(0, 3);
      throw new AppError(
        'E_MESH_SHARED',
        `This host shares its keys with ${names.join(', ')}, of another mesh than the token's; "weft leave" first, then join.`,
      );
    }
    const secret = await askForSecret(token, state.identity, (question) =>
      mesh.ask(at, JOIN_SERVICE, question, ANSWER_WITHIN),
    );
    if (typeof secret === 'string') {
      throw new AppError('E_TOKEN_REFUSED', SENTENCES[secret](target));
    }
    return secret;
  }

  /** On disk, then in use. E_STATE if the disk refuses. */
  adopt(secret: Buffer): void {
    this.#options.state.setMeshSecret(secret);
    this.#options.secretChanged();
  }
}

import { AppError } from '../base/errors.ts';
import { formatSocketAddress, type PeerId, type SocketAddress } from '../base/types.ts';
import type { MemberRecord, VersionRange } from './member.ts';
import type { Refusal } from './sync-message.ts';

/** How one join ended. A failed one has changed nothing. */
export type JoinOutcome =
  | {
      readonly ok: true;
      readonly target: SocketAddress;
      readonly id: PeerId;
      readonly name: string;
    }
  | { readonly ok: false; readonly target: SocketAddress; readonly error: AppError };

/** What a refused host was and asked for. */
export interface JoinAttempt {
  readonly target: SocketAddress;
  readonly self: MemberRecord;
  readonly label: string;
}

const spoken = ({ min, max }: VersionRange): string =>
  min === max ? `${min}` : `${min} to ${max}`;

const described = ({ name, id, address }: MemberRecord): string =>
  `"${name}" (id ${id}, ${formatSocketAddress(address)})`;

/** Puts a refusal in words for the person who asked: each sentence names both sides. */
export function refusalError(refusal: Refusal, { target, self, label }: JoinAttempt): AppError {
  const at = formatSocketAddress(target);
  switch (refusal.reason) {
    case 'version':
      return new AppError(
        'E_MESH_VERSION',
        `The host at ${at} speaks mesh protocol ${spoken(refusal.protocol)} and this host ${spoken(self.protocol)}; upgrade the older of the two.`,
      );
    case 'label':
      return new AppError(
        'E_MESH_LABEL',
        `The host at ${at} belongs to the mesh "${refusal.label}" and this host to "${label}"; start both with the same mesh label.`,
      );
    case 'self':
      return new AppError(
        'E_JOIN_SELF',
        `${at} is this very host ${described(self)}, or runs from a copy of its state directory; name another host to join.`,
      );
    case 'name-taken':
      return new AppError(
        'E_HOST_NAME_TAKEN',
        `The host name of ${described(self)} is already that of the live host ${described(refusal.holder)}; start one of them with another --name.`,
      );
    case 'detached':
      return new AppError(
        'E_JOIN_UNREACHABLE',
        `The host at ${at} has left the mesh and takes no automatic rejoin; run "weft join" on either host.`,
      );
  }
}

/** For bytes that are no answer of any version. */
export function unintelligibleAnswer(target: SocketAddress): AppError {
  return new AppError(
    'E_JOIN_UNREACHABLE',
    `What answers at ${formatSocketAddress(target)} does not speak the mesh protocol; check that the address and port are those of a Weft host.`,
  );
}

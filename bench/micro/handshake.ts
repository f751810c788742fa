import { HandshakeState } from '../../src/link/noise/handshake-state.ts';
import { KeyPair, PublicKey } from '../../src/link/noise/key-pair.ts';
import { measureTimed, type MicroResult, type TimedLoop } from './measure.ts';

/** A handshake is most of a millisecond. */
const OPERATIONS = 100;

const SUITE = { cipher: 'ChaChaPoly', hash: 'BLAKE2s' } as const;

/** Both ends of one IKpsk2 handshake, as two hosts make it every two minutes: ephemeral keys and `split` too. */
export function handshakeLoop(): TimedLoop {
  const [s, rs] = [KeyPair.generate(), KeyPair.generate()];
  const common = {
    pattern: 'IKpsk2',
    suite: SUITE,
    prologue: rs.publicKey,
    psk: Buffer.alloc(32, 1),
  } as const;
  const known = PublicKey.from(rs.publicKey);
  const payload = Buffer.alloc(13);
  return (operations) => {
    const started = process.hrtime.bigint();
    for (let count = 0; count < operations; count++) {
      const initiator = new HandshakeState({ ...common, isInitiator: true, s, rs: known });
      const responder = new HandshakeState({ ...common, isInitiator: false, s: rs });
      responder.readMessage(initiator.writeMessage(payload));
      initiator.readMessage(responder.writeMessage(payload));
      initiator.split();
      responder.split();
    }
    return Number(process.hrtime.bigint() - started) / operations;
  };
}

export function runHandshakeMicro(): MicroResult[] {
  return [measureTimed('Noise IKpsk2 handshake, both ends', handshakeLoop(), OPERATIONS)];
}

import type { Contender } from '../contenders/contender.ts';
import { fastd } from './fastd.ts';
import { nebula } from './nebula.ts';
import { openvpn } from './openvpn.ts';
import { ovs } from './ovs.ts';
import { tinc } from './tinc.ts';
import { wireguardGo } from './wireguard-go.ts';

/** Other overlays from Debian's packages, measured only when asked for. */
export const PEERS: readonly Contender[] = [wireguardGo, nebula, ovs, tinc, fastd, openvpn];

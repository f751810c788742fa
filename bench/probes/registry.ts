import { idle } from './idle.ts';
import { overload } from './overload.ts';
import type { Probe } from './probe.ts';
import { rtt } from './rtt.ts';
import { tcp1, tcp4 } from './tcp.ts';
import { udp1400, udp64, udpPaced } from './udp.ts';

/** In the order in which they run: latency on a quiet path first, memory after all the loads. */
export const PROBES: readonly Probe[] = [rtt, tcp1, tcp4, udp64, udp1400, udpPaced, overload, idle];

/** Those that run unless others are named. */
export const USUAL_PROBES: readonly Probe[] = PROBES.filter((probe) => probe !== overload);

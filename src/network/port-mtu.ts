import { MAX_MTU } from '../tun/arguments.ts';

/**
 * Of what is a port of a bridge: the TAP device and the host's ends of the workloads' pairs. A workload
 * with a larger MTU than its network's, by its own choice or because it was not told of a lower one yet,
 * would lose its packets there and never hear of it; so they come as far as the data plane, which answers.
 */
export const PORT_MTU = MAX_MTU;

import { readFileSync } from 'node:fs';
import { loadHost } from '../base/host-addon.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Rng } from '../base/rng.ts';
import type { DataPlaneFactories } from '../dataplane/select.ts';
import { systemDnsSockets } from '../dns/system-sockets.ts';
import { nativeAvailability } from '../dataplane/native/availability.ts';
import { createNativeDataPlane } from '../dataplane/native/native-data-plane.ts';
import type { SealingCipher } from '../encap/sealed.ts';
import { systemExec } from '../os/exec.ts';
import { ChangingFile } from '../os/changing-file.ts';
import { openBoundSocket } from '../os/device-socket.ts';
import { interfaceAddresses } from '../os/interface-addresses.ts';
import { IpTool } from '../os/ip.ts';
import { systemNetns } from '../os/netns.ts';
import { NftTool } from '../os/nft.ts';
import { probePort } from '../os/port-probe.ts';
import { loadPerform } from '../os/netlink/addon.ts';
import { NetlinkIp, netlinkWriter } from '../os/netlink/netlink-ip.ts';
import { NetlinkPolicyRouting } from '../os/netlink/netlink-policy-routing.ts';
import { ProcSysctl } from '../os/sysctl.ts';
import { TcTool } from '../os/tc.ts';
import { openOnLadder } from '../tun/offload-ladder.ts';
import { Tap } from '../tun/tap.ts';
import { openTcpStream } from '../underlay/stream-tcp.ts';
import { bindUdp } from '../underlay/udp.ts';
import type { Seams } from './daemon.ts';
import { State } from './state.ts';

interface SystemDeps {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
}

/** Most daemons run the native one: the other's code is read only where it is wanted. */
function dataPlanes({ clock, rng }: SystemDeps): DataPlaneFactories {
  return {
    portable: {
      async open(wanted) {
        const { openPortableDataPlane } = await import('../dataplane/portable/plane.ts');
        return openPortableDataPlane(wanted, { clock, rng, bindUdp });
      },
    },
    native: {
      unavailable: () => nativeAvailability().reason || undefined,
      open: (wanted) => Promise.resolve(createNativeDataPlane(wanted)),
    },
  };
}

/**
 * The native data plane does the kernel's segmenting itself and has a queue for each thread, the portable
 * one takes plain frames.
 */
function openTap({ log }: SystemDeps): Seams['openTap'] {
  return (kind, name, mtu, threads) => {
    const { tap, offloads } =
      kind === 'native'
        ? openOnLadder({ name, mtu, queues: threads })
        : { tap: Tap.open({ name, mtu }), offloads: [] };
    tap.isUp = true;
    const fields = { device: tap.name, mtu, offloads: offloads.join(' ') || 'none' };
    log.info(fields, 'TAP device opened');
    return tap;
  };
}

/** Names: sockets on single interfaces, and the host's own name servers. */
function dnsSeam(ip: NetlinkIp): Seams['dns'] {
  const resolvConf = new ChangingFile('/etc/resolv.conf');
  return {
    openSockets: (counts) =>
      systemDnsSockets(
        (protocol, { address, port, device }) =>
          openBoundSocket({ protocol, address, port, ...(device && { device: device.name }) }),
        counts,
      ),
    interfaceAddresses: (devices) => interfaceAddresses(ip, devices),
    resolvConf: () => resolvConf.read(),
  };
}

/** AES is worth it where the processor does it: `aes` among the flags (x86) or features (ARM). */
function fastCiphers(): readonly SealingCipher[] {
  const text = readFileSync('/proc/cpuinfo', 'utf8');
  return /^(flags|Features)\s*:.*\baes\b/m.test(text) ? ['aes-256-gcm'] : [];
}

/** The real kernel, disk and sockets of this host. */
export function systemSeams(deps: SystemDeps): Seams {
  const perform = loadPerform();
  const ip = new NetlinkIp(perform, new IpTool(systemExec));
  return {
    ip,
    dns: dnsSeam(ip),
    fastCiphers,
    netns: systemNetns,
    sysctl: new ProcSysctl(systemExec, '/proc/sys/net', netlinkWriter(perform)),
    policyRouting: new NetlinkPolicyRouting(perform, (index) => loadHost().interfaceName(index)),
    ...{ nft: new NftTool(systemExec), tc: new TcTool(systemExec), probePort },
    openState: (directory, firstKey) => State.open(directory, firstKey),
    dataPlanes: dataPlanes(deps),
    openStreams: (wanted) => openTcpStream(wanted, deps),
    openTap: openTap(deps),
  };
}

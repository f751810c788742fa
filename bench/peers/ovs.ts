import { join } from 'node:path';
import type { Contender } from '../contenders/contender.ts';
import type { LabProcess } from '../lib/process.ts';
import { run } from '../lib/process.ts';
import { OVERLAY_MTU } from '../lib/topology.ts';
import { startSides, type Side } from './tunnel.ts';

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';

/** Starts a database and a switch of their own for one host, with all their files under `directory`. */
async function startSwitch(side: Side, directory: string): Promise<LabProcess[]> {
  const { namespace } = side.host;
  const file = (suffix: string): string => join(directory, `${side.name}.${suffix}`);
  const database = `unix:${file('db.sock')}`;
  await run('ovsdb-tool', ['create', file('db'), SCHEMA]);
  const places = [`OVS_RUNDIR=${directory}`, `OVS_LOGDIR=${directory}`, `OVS_DBDIR=${directory}`];
  const start = (program: string, kind: string, args: readonly string[]): LabProcess =>
    namespace.start('env', [...places, program, ...args, '--unixctl', file(`${kind}.ctl`)]);

  const server = start('ovsdb-server', 'db', [file('db'), `--remote=p${database}`]);
  const vsctl = (...words: readonly string[]): Promise<string> =>
    namespace.run('ovs-vsctl', [`--db=${database}`, '--retry', '--timeout=15', ...words]);
  await vsctl('--no-wait', 'init');
  const daemon = start('ovs-vswitchd', 'switch', [database]);
  await vsctl(
    ...['add-br', 'bru', '--', 'set', 'bridge', 'bru', 'datapath_type=netdev'],
    ...['--', 'add-port', 'bru', side.host.ifname],
    ...['--', 'add-br', 'br0', '--', 'set', 'bridge', 'br0', 'datapath_type=netdev'],
    ...['--', 'add-port', 'br0', 'c0', '--', 'add-port', 'br0', 'vx0'],
    ...['--', 'set', 'interface', 'vx0', 'type=vxlan', 'options:key=77'],
    `options:remote_ip=${side.remote.address}`,
  );
  return [server, daemon];
}

/** Open vSwitch without its kernel module: the same VXLAN, switched by a program. */
export const ovs: Contender = {
  name: 'ovs-netdev',
  describe: 'Open vSwitch from Debian, userspace datapath, VXLAN',
  packages: ['openvswitch-switch'],
  async up(topology) {
    const ends = await topology.wiredContainers(OVERLAY_MTU);
    // It reads frames through packet sockets, which don't say that a checksum is yet to be filled in.
    for (const container of [ends.client, ends.server]) {
      await container.run('ethtool', ['-K', 'eth0', 'tx', 'off']);
    }
    return startSides(topology, ends, async (side, directory) => {
      const { namespace, address, ifname } = side.host;
      const programs = await startSwitch(side, directory);
      await namespace.ip(`addr del ${address}/24 dev ${ifname}`);
      await namespace.ip(`addr add ${address}/24 dev bru`);
      await namespace.ip('link set bru up');
      return programs;
    });
  },
};

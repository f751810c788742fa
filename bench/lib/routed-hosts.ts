import type { Lab, LabHost, LabNamespace } from './lab.ts';

/** Two hosts with two routers between them. */
export interface RoutedHosts {
  readonly hosts: readonly [LabHost, LabHost];
  /** Gives the link between the routers another MTU. */
  readonly narrow: (mtu: number) => Promise<void>;
  /** The routers say nothing any more of what they drop. */
  readonly silence: () => Promise<void>;
}

/** a - r1 - r2 - b: what is too long for the link in the middle does not fail where it is sent. */
export async function routedHosts(
  lab: Lab,
  { mtu = 1500, family = 4 }: { readonly mtu?: number; readonly family?: 4 | 6 } = {},
): Promise<RoutedHosts> {
  const [first, second, near, far] = await Promise.all(
    ['a', 'b', 'r1', 'r2'].map((name) => lab.namespace(name)),
  );
  if (!first || !second || !near || !far) throw new Error('four namespaces were asked for');
  await lab.link([first, 'u0'], [near, 'h0'], { mtu });
  await lab.link([second, 'u0'], [far, 'h0'], { mtu });
  await lab.link([near, 'm0'], [far, 'm0'], { mtu });
  const at = (net: number, host: number): string =>
    family === 4 ? `198.51.${net}.${host}` : `2001:db8:${net}::${host}`;
  const length = family === 4 ? 24 : 64;
  const give = async (namespace: LabNamespace, net: number, host: number, device: string) =>
    namespace.ip(
      `addr add ${at(net, host)}/${length} dev ${device}${family === 6 ? ' nodad' : ''}`,
    );
  await give(first, 1, 1, 'u0');
  await give(near, 1, 2, 'h0');
  await give(near, 2, 1, 'm0');
  await give(far, 2, 2, 'm0');
  await give(far, 3, 2, 'h0');
  await give(second, 3, 1, 'u0');
  const version = `-${family}`;
  await first.ip(`${version} route add default via ${at(1, 2)}`);
  await second.ip(`${version} route add default via ${at(3, 2)}`);
  await near.ip(`${version} route add ${at(3, 0)}/${length} via ${at(2, 2)}`);
  await far.ip(`${version} route add ${at(1, 0)}/${length} via ${at(2, 1)}`);
  for (const router of [near, far]) {
    const path = `net.ipv${family}.conf.all.forwarding`;
    await router.run('sysctl', ['-q', '-w', `${path}=1`]);
  }
  const host = (namespace: LabNamespace, address: string): LabHost => ({
    ...{ namespace, address, address6: address, ifname: 'u0' },
  });
  return {
    hosts: [host(first, at(1, 1)), host(second, at(3, 1))],
    async narrow(next) {
      await Promise.all([near, far].map((router) => router.ip(`link set m0 mtu ${next}`)));
    },
    async silence() {
      const rules = [
        'add table inet quiet',
        'add chain inet quiet out { type filter hook output priority 0; }',
        'add rule inet quiet out icmp type destination-unreachable drop',
        'add rule inet quiet out icmpv6 type packet-too-big drop',
      ].join('; ');
      for (const router of [near, far]) await router.run('/usr/sbin/nft', [rules]);
    },
  };
}

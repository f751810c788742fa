import type { LabNamespace } from './lab.ts';

const NFT = '/usr/sbin/nft';

/** Drops what comes to a host and matches one of the rules of nftables, until `undo` is called. */
export async function blackHole(
  namespace: LabNamespace,
  ...matches: readonly string[]
): Promise<{ undo: () => Promise<void> }> {
  const commands = [
    'add table inet hole',
    'add chain inet hole in { type filter hook prerouting priority -300; }',
    ...matches.map((match) => `add rule inet hole in ${match} drop`),
  ];
  await namespace.run(NFT, [commands.join('; ')]);
  return {
    async undo() {
      await namespace.run(NFT, ['delete', 'table', 'inet', 'hole']);
    },
  };
}

/** Facts about this checkout and machine that the scripts share. No dependencies: runs before npm ci. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Where node-gyp finds Node's headers without the network; undefined lets it look for itself. */
export function nodeHeadersDirectory() {
  const candidates = [process.env.npm_config_nodedir, dirname(dirname(process.execPath)), '/usr'];
  return candidates.find(
    (directory) => directory && existsSync(join(directory, 'include/node/node_api.h')),
  );
}

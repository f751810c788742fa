import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function findPackageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
  return directory;
}

/** The folder of Weft's package.json, from sources and from the build alike. */
export const packageRoot = findPackageRoot();

const require = createRequire(import.meta.url);

/** Loads `native/build/Release/<name>.node`; throws Node's own error if it is not built. */
export function loadAddon(name: string): unknown {
  return require(join(packageRoot, 'native/build/Release', `${name}.node`));
}

/** Weft's version, from package.json. */
export const packageVersion = (
  require(join(packageRoot, 'package.json')) as { readonly version: string }
).version;

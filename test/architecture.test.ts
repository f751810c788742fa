import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import test from 'ava';
import { packageRoot } from '../src/base/package-root.ts';

/**
 * Who may import whom, downwards only (docs/architecture.md). `types` lists folders of which only
 * `import type` is allowed; `files` single files of a folder that is otherwise closed.
 */
interface Rule {
  readonly folders: readonly string[];
  readonly types?: readonly string[];
  readonly files?: readonly string[];
}

const RULES: Readonly<Record<string, Rule>> = {
  base: { folders: [] },
  wire: { folders: ['base'] },
  encap: { folders: ['base', 'wire'] },
  gossip: { folders: ['base', 'wire'], types: ['underlay'] },
  ipam: { folders: ['base', 'wire'] },
  tun: { folders: ['base', 'wire'] },
  underlay: { folders: ['base', 'wire'] },
  os: { folders: ['base', 'wire'] },
  link: { folders: ['base', 'wire', 'encap'], types: ['underlay'] },
  dataplane: { folders: ['base', 'wire', 'encap'], types: ['tun', 'underlay'] },
  dns: { folders: ['base', 'wire'] },
  network: { folders: ['base', 'wire', 'encap', 'os', 'tun', 'dataplane'] },
  driver: { folders: ['base', 'wire', 'encap', 'os', 'tun', 'dataplane', 'network'] },
  api: { folders: ['base'] },
  plugin: {
    folders: ['base', 'wire'],
    files: ['api/control.ts', 'api/face.ts', 'api/plumbing.ts'],
  },
  cli: { folders: ['base'], files: ['api/control.ts', 'api/client.ts'] },
  metrics: { folders: ['base'], files: ['api/control.ts'] },
  daemon: {
    folders: [
      ...['base', 'wire', 'encap', 'gossip', 'ipam', 'tun', 'underlay', 'os', 'link'],
      ...['dataplane', 'network', 'driver', 'dns', 'api', 'metrics', 'plugin'],
    ],
  },
};

/** The folders whose code is pure: of Node's own modules they may use only these. */
const PURE: Readonly<Record<string, readonly string[]>> = {
  wire: [],
  encap: ['node:assert/strict'],
  gossip: ['node:assert/strict'],
  ipam: ['node:assert/strict'],
};

/** `weft up` is the one command that becomes the daemon: it loads it lazily. */
const COMPOSITION_ROOT = 'cli/commands/up.ts';

const source = join(packageRoot, 'src');

interface Import {
  readonly from: string;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  const statements = text.matchAll(
    /^(?:import|export)\s+(type\s)?[^;'"]*?from\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gms,
  );
  return [...statements].map((match) => ({
    from: relative(source, file),
    specifier: match[2] ?? match[3] ?? match[4] ?? '',
    typeOnly: match[1] !== undefined,
  }));
}

const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.includes('generated'))
  .map((name) => join(source, name));

function violation({ from, specifier, typeOnly }: Import): string | undefined {
  const folder = from.split('/')[0] ?? '';
  const rule = RULES[folder];
  if (rule === undefined) return `${from}: folder ${folder} has no rule`;
  if (!specifier.startsWith('.')) {
    const allowed = PURE[folder];
    return specifier.startsWith('node:') && allowed !== undefined && !allowed.includes(specifier)
      ? `${from}: ${folder} is pure and may not use ${specifier}`
      : undefined;
  }
  const target = relative(source, resolve(source, dirname(from), specifier));
  const targetFolder = target.split('/')[0] ?? '';
  const allowed =
    targetFolder === folder ||
    rule.folders.includes(targetFolder) ||
    (typeOnly && rule.types?.includes(targetFolder)) ||
    rule.files?.includes(target) ||
    (from === COMPOSITION_ROOT && targetFolder === 'daemon');
  return allowed ? undefined : `${from}: may not import ${target}`;
}

test('imports go downwards only', (t) => {
  const imports = files.flatMap(importsOf);
  t.true(imports.length > 10);
  t.deepEqual(imports.map(violation).filter(Boolean), []);
});

test('there are no barrel files', (t) => {
  t.deepEqual(
    files.filter((file) => file.endsWith('/index.ts')),
    [],
  );
});

test('only src/os starts other programs', (t) => {
  const offenders = files
    .flatMap(importsOf)
    .filter(({ specifier, from }) => specifier === 'node:child_process' && from !== 'os/exec.ts');
  t.deepEqual(offenders, []);
});

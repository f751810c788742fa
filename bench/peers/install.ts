import { run, tryRun } from '../lib/process.ts';
import type { Contender } from '../contenders/contender.ts';

const INSTALL_MS = 600_000;

async function isInstalled(name: string): Promise<boolean> {
  const { status, stdout } = await tryRun('dpkg-query', ['-W', '-f', '${Status}', name]);
  return status === 0 && stdout.endsWith(' installed');
}

/** Installs the Debian packages that the contenders name and that are absent, and says so. */
export async function installPackages(
  contenders: readonly Pick<Contender, 'name' | 'packages'>[],
): Promise<void> {
  const absent = [];
  for (const { name, packages = [] } of contenders) {
    for (const wanted of packages) {
      if (await isInstalled(wanted)) continue;
      absent.push(wanted);
      console.error(`bench: installing the Debian package ${wanted} (to measure ${name})`);
    }
  }
  if (absent.length === 0) return;
  const env = ['DEBIAN_FRONTEND=noninteractive', 'apt-get'];
  await run('env', [...env, 'update'], { timeoutMs: INSTALL_MS });
  await run('env', [...env, 'install', '-y', '--no-install-recommends', ...absent], {
    timeoutMs: INSTALL_MS,
  });
}

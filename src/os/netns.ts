import { open, readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { AppError, errnoOf } from '../base/errors.ts';

/** A network namespace that a workload lives in. */
export interface Sandbox {
  /** `/run/netns/NAME`, `/proc/PID/ns/net`, or wherever else it is mounted. */
  readonly path: string;
  /** `device:inode`: two references to one namespace have the same, whatever their paths. */
  readonly inode: string;
}

/** How a caller names a sandbox: a name under /run/netns or an absolute path, or a process in it. */
export type SandboxReference = { readonly netns: string } | { readonly pid: number };

/** A sandbox that can't vanish, nor its path come to mean another one, until it is closed. */
export interface OpenSandbox extends Sandbox {
  /** A path for other programs; good until `close`. */
  readonly handle: string;
  close(): Promise<void>;
}

/** Network namespaces of this host. */
export interface Netns {
  /**
   * Finds the sandbox that is meant. Rejects with E_SANDBOX_MISSING, with E_USAGE if it is the
   * daemon's own namespace or no reference at all, with E_PERMISSION if it may not be looked at.
   */
  resolve(reference: SandboxReference): Promise<Sandbox>;
  /** Rejects with E_SANDBOX_MISSING if it is gone, or its path now leads to another namespace. */
  open(sandbox: Sandbox): Promise<OpenSandbox>;
  exists(sandbox: Sandbox): Promise<boolean>;
  /** The daemon's own namespace, which is the host's. */
  own(): Promise<Sandbox>;
}

/** Of the daemon, whatever process it is by now. */
export const OWN = '/proc/self/ns/net';
/** iproute2 is built with one or the other; on most hosts /var/run is a link to /run. */
const NAMED_DIRECTORIES = ['/run/netns', '/var/run/netns'] as const;

interface Identity {
  readonly inode: string;
  /** All namespaces are files of one file system, nsfs. */
  readonly device: number;
}

function isAbsence(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ESRCH', 'ELOOP'].includes(errnoOf(error) ?? '');
}

/** What to throw if a path is there but can't be used. */
function refusal(path: string, error: unknown): unknown {
  if (!['EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) return error;
  return new AppError(
    'E_PERMISSION',
    `"${path}" may not be looked at; the daemon needs root, with CAP_SYS_PTRACE for another's process.`,
    { cause: error },
  );
}

async function identify(path: string): Promise<Identity | undefined> {
  try {
    const { dev, ino } = await stat(path);
    return { inode: `${dev}:${ino}`, device: dev };
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw refusal(path, error);
  }
}

/** The magic links of /proc read `net:[4026531840]`; a namespace mounted on a file is no link at all. */
async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch (error) {
    if (errnoOf(error) === 'EINVAL' || errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** One path for all ways to write it, links followed, /proc's magic ones left as they are. */
async function canonicalPath(path: string): Promise<string> {
  const directory = await realpath(dirname(path));
  const plain = join(directory, basename(path));
  const target = await linkTarget(plain);
  if (target === undefined || /^\w+:\[\d+\]$/.test(target)) return plain;
  return canonicalPath(resolve(directory, target));
}

function missing(sentence: string): AppError {
  return new AppError('E_SANDBOX_MISSING', sentence);
}

/** What the caller wrote, where it may be, and what to say if it is not there. */
interface Candidate {
  readonly paths: readonly string[];
  readonly absence: string;
  readonly subject: string;
}

function candidateOfPid(pid: number): Candidate {
  if (!Number.isInteger(pid) || pid < 1) {
    throw new AppError('E_USAGE', `Pid ${pid} is no process id; give a whole number from 1.`);
  }
  return {
    paths: [`/proc/${pid}/ns/net`],
    absence: `There is no process ${pid} on this host; give the pid of a running container as the host sees it.`,
    subject: `Process ${pid}`,
  };
}

function candidateOfName(netns: string): Candidate {
  if (netns.startsWith('/')) {
    return {
      paths: [netns],
      absence: `There is no network namespace at ${netns}; it may have ended with its container.`,
      subject: `Network namespace "${netns}"`,
    };
  }
  if (netns === '' || netns === '.' || netns === '..' || /[/\0]/.test(netns)) {
    throw new AppError(
      'E_USAGE',
      `"${netns}" names no network namespace; give a name under /run/netns or an absolute path.`,
    );
  }
  return {
    paths: NAMED_DIRECTORIES.map((directory) => join(directory, netns)),
    absence: `There is no network namespace "${netns}" under /run/netns; "ip netns list" shows the names, or give an absolute path.`,
    subject: `Network namespace "${netns}"`,
  };
}

async function findFirst(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if ((await identify(path)) !== undefined) return path;
  return undefined;
}

async function identifyOwn(): Promise<Identity> {
  const own = await identify(OWN);
  if (own !== undefined) return own;
  throw new AppError('E_PLATFORM', `${OWN} is missing; mount /proc, which Weft cannot do without.`);
}

async function resolveSandbox(reference: SandboxReference): Promise<Sandbox> {
  const { paths, absence, subject } =
    'pid' in reference ? candidateOfPid(reference.pid) : candidateOfName(reference.netns);
  const found = await findFirst(paths);
  if (found === undefined) throw missing(absence);
  const path = await canonicalPath(found);
  const [own, identity] = [await identifyOwn(), await identify(path)];
  const type = /^(\w+):\[/.exec((await linkTarget(path)) ?? '')?.[1] ?? 'net';
  if (identity === undefined) throw missing(absence);
  if (identity.device !== own.device || type !== 'net') {
    throw missing(
      `${path} is not a network namespace; give one that "ip netns list" shows, or a pid.`,
    );
  }
  if (identity.inode === own.inode) {
    throw new AppError(
      'E_USAGE',
      `${subject} is the host's own network namespace, where the daemon runs; give that of a container.`,
    );
  }
  return { path, inode: identity.inode };
}

async function openSandbox(sandbox: Sandbox): Promise<OpenSandbox> {
  const gone = `The network namespace ${sandbox.path} is gone; its container has ended, so there is nothing to attach.`;
  const file = await open(sandbox.path, 'r').catch((error: unknown) => {
    throw isAbsence(error) ? missing(gone) : refusal(sandbox.path, error);
  });
  const { dev, ino } = await file.stat();
  if (`${dev}:${ino}` === sandbox.inode) {
    const handle = `/proc/${process.pid}/fd/${file.fd}`;
    return { ...sandbox, handle, close: () => file.close() };
  }
  await file.close();
  throw missing(gone);
}

/** Namespaces as the kernel shows them under /proc and /run/netns. */
export const systemNetns: Netns = {
  resolve: resolveSandbox,
  open: openSandbox,
  own: async () => ({ path: OWN, inode: (await identifyOwn()).inode }),
  exists: async ({ path, inode }) => (await identify(path))?.inode === inode,
};

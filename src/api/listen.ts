import { once } from 'node:events';
import { lstat, mkdir, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';
import { MAX_SOCKET_PATH_BYTES } from '../base/defaults.ts';
import { AppError, errnoOf } from '../base/errors.ts';

const OWNER_ONLY = 0o177;

/** True if a process accepts connections at `path`. */
async function isAnswered(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ECONNREFUSED' || errno === 'ENOENT') return false;
    // A full backlog: someone listens.
    if (errno === 'EAGAIN') return true;
    throw error;
  } finally {
    socket.destroy();
  }
}

/** Removes the socket file that a dead daemon left; never another kind of file, never a live socket. */
async function clearPath(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new AppError(
      'E_BIND',
      `${path} exists and is not a socket; remove it or name another path with --socket.`,
    );
  }
  if (await isAnswered(path)) {
    throw new AppError(
      'E_ALREADY_RUNNING',
      `A daemon already answers at ${path}; stop it first, or name another path with --socket.`,
    );
  }
  await unlink(path);
}

/**
 * bind(2) happens within the call of `listen`, before it returns: with this umask the file is never
 * there with a mode wider than 0600, and nothing else of this thread runs meanwhile.
 */
async function bindPrivately(server: Server, path: string): Promise<void> {
  const previous = process.umask(OWNER_ONLY);
  try {
    server.listen(path);
  } finally {
    process.umask(previous);
  }
  await once(server, 'listening');
}

/**
 * Listens on a unix socket that only its owner can use. Makes the directory (0755), replaces the
 * socket of a dead daemon. E_ALREADY_RUNNING if a live one answers there, E_BIND if the path is too
 * long, taken by something else, or not writable.
 */
export async function listenPrivately(server: Server, path: string): Promise<void> {
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_SOCKET_PATH_BYTES) {
    throw new AppError(
      'E_BIND',
      `The socket path ${path} has ${bytes} bytes and the kernel allows ${MAX_SOCKET_PATH_BYTES}; choose a shorter one with --socket.`,
    );
  }
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    await clearPath(path);
    await bindPrivately(server, path);
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    const why = errnoOf(cause) ?? String(cause);
    throw new AppError(
      'E_BIND',
      `The daemon can't listen at ${path} (${why}); run it as root or name a path that this user may write with --socket.`,
      { cause },
    );
  }
}

import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { constants } from 'node:os';
import { AppError, errnoOf } from '../base/errors.ts';
import { loadHost } from '../base/host-addon.ts';
import type { Logger } from '../base/log.ts';

/** Tells a service manager what the daemon does. Without one, every call does nothing. */
export interface Notifier {
  /** `READY=1`: it serves. `status` is the line that `systemctl status` shows. */
  ready(status: string): void;
  /** `STOPPING=1`: it has begun to stop. */
  stopping(): void;
}

/**
 * sd_notify(3) through the datagram socket in `path` (NOTIFY_SOCKET; `@` begins an abstract name). A
 * manager that can't be told is logged once a call and else ignored: the daemon runs all the same.
 */
export function createNotifier(path: string | undefined, logger: Logger): Notifier {
  if (path === undefined || path === '')
    return { ready: () => undefined, stopping: () => undefined };
  const host = loadHost();
  const send = (text: string): void => {
    const errno = host.notify(path, text);
    if (errno !== 0) logger.warn({ path, errno }, 'the service manager could not be notified');
  };
  return {
    ready: (status) =>
      send(`READY=1\nSTATUS=${status.replaceAll('\n', ' ')}\nMAINPID=${process.pid}`),
    stopping: () => send('STOPPING=1'),
  };
}

/** A held lock. The kernel lets go of it when the process ends, however it ends. */
export interface Lock {
  release(): void;
}

function openLockFile(file: string): number {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    return openSync(file, 'a+', 0o600);
  } catch (cause) {
    throw new AppError(
      'E_STATE',
      `The lock file ${file} can't be opened (${errnoOf(cause) ?? String(cause)}); run as root, or name a directory that this user may write.`,
      { cause },
    );
  }
}

/**
 * Takes flock(2) on `file` (made if need be, never removed: removing it would let two processes hold
 * locks on two files of one name) and writes our pid into it for people.
 * E_ALREADY_RUNNING names the pid of the holder and `guarded`, the thing that both want.
 */
export function acquireLock(file: string, guarded: string): Lock {
  const host = loadHost();
  const fd = openLockFile(file);
  const errno = host.lock(fd);
  if (errno !== 0) {
    closeSync(fd);
    if (errno !== constants.errno.EWOULDBLOCK) {
      throw new AppError(
        'E_STATE',
        `The file ${file} can't be locked (errno ${errno}); put it on a file system of this host, for some network shares take no locks.`,
      );
    }
    const pid = readFileSync(file, 'utf8').trim() || 'unknown';
    throw new AppError(
      'E_ALREADY_RUNNING',
      `A daemon with pid ${pid} already uses ${guarded}; stop it first, or choose another.`,
    );
  }
  try {
    ftruncateSync(fd, 0);
    writeSync(fd, `${process.pid}\n`);
  } catch (cause) {
    closeSync(fd);
    throw new AppError(
      'E_STATE',
      `The lock file ${file} can't be written (${errnoOf(cause) ?? String(cause)}); make room on its file system.`,
      { cause },
    );
  }
  return { release: () => closeSync(fd) };
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
type StopSignal = (typeof SIGNALS)[number];

/** What lifecycle needs of `process`; tests pass an EventEmitter. */
export interface SignalSource {
  on(signal: StopSignal, listener: (signal: StopSignal) => void): unknown;
  off(signal: StopSignal, listener: (signal: StopSignal) => void): unknown;
}

export interface StopSignals {
  /** Settles at the first SIGTERM or SIGINT. */
  readonly first: Promise<StopSignal>;
  /** Stops listening; the signals have their usual effect again. */
  dispose(): void;
}

/**
 * The first signal asks for a graceful stop; a second one calls `now` (exit at once, with 128 + the
 * signal's number): an operator who presses Ctrl-C twice means it.
 */
export function watchSignals(source: SignalSource, now: (status: number) => void): StopSignals {
  let asked = false;
  let resolveFirst: (signal: StopSignal) => void = () => undefined;
  const first = new Promise<StopSignal>((resolve) => (resolveFirst = resolve));
  const listener = (signal: StopSignal): void => {
    if (asked) now(128 + constants.signals[signal]);
    asked = true;
    resolveFirst(signal);
  };
  for (const signal of SIGNALS) source.on(signal, listener);
  return {
    first,
    dispose() {
      for (const signal of SIGNALS) source.off(signal, listener);
    },
  };
}

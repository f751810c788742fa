/**
 * A process that owns a TAP, for test/e2e/tun.test.ts: `node tap-program.js MODE NETNS [NAME]`.
 * Prints one line for each thing that happens; what it exits with, and when, is what is tested.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import { createFrameBatch } from '../../src/base/frame-batch.ts';
import { isAppError } from '../../src/base/errors.ts';
import { loadDeviceClass } from '../../src/tun/addon.ts';
import { Tap } from '../../src/tun/tap.ts';

type Program = (netns: string, name: string) => void;

const NOBODY = 65534;

function listen(netns: string, name: string): Tap {
  const tap = Tap.open({ name, netns });
  const batch = createFrameBatch(8, 1514, 0);
  tap.onReadable(() => void tap.readBatch(batch));
  tap.onGone(() => console.log('gone'));
  tap.isUp = true;
  return tap;
}

function reportError(act: () => unknown): void {
  try {
    act();
    console.log('no error');
  } catch (error) {
    console.log(isAppError(error) ? `${error.code} ${error.message}` : String(error));
  }
}

function startWorker(netns: string, name: string): Worker {
  return new Worker(fileURLToPath(import.meta.url), { workerData: { netns, name } });
}

const PROGRAMS: Readonly<Record<string, Program>> = {
  /** Opens and returns: nothing may keep it. */
  return(netns, name) {
    Tap.open({ netns, name }).onGone(() => console.log('gone'));
    console.log('open');
  },
  /** Listens until SIGTERM, then closes and lets the event loop run dry. */
  'close-on-signal'(netns, name) {
    const tap = listen(netns, name);
    process.on('SIGTERM', () => {
      console.log('told to end');
      tap.close();
    });
    console.log('open');
  },
  /** Listens until SIGTERM, then exits with the device open. */
  'exit-on-signal'(netns, name) {
    listen(netns, name);
    process.on('SIGTERM', () => {
      console.log('told to end');
      process.exit(7);
    });
    console.log('open');
  },
  /** Listens until the device is deleted; a gone device must neither keep nor busy the process. */
  'until-gone'(netns, name) {
    listen(netns, name);
    console.log('open');
  },
  /** Stops listening: the process ends although the device is open. */
  'stop-listening'(netns, name) {
    listen(netns, name).onReadable(undefined);
    console.log('open');
  },
  /** A worker thread listens and is terminated; its device goes with it. */
  'terminate-worker'(netns, name) {
    const worker = startWorker(netns, name);
    worker.on('message', (message) => {
      console.log(message);
      void worker.terminate().then(() => {
        const again = Tap.open({ netns, name });
        console.log(`reopened ${again.name}`);
        again.close();
      });
    });
  },
  /** The process exits while a worker thread listens. */
  'exit-with-worker'(netns, name) {
    startWorker(netns, name).on('message', (message) => {
      console.log(message);
      process.exit(7);
    });
  },
  /** What a listener throws is an uncaught exception. */
  'throw-in-listener'(netns, name) {
    const tap = Tap.open({ netns, name });
    tap.onReadable(() => {
      throw new Error('thrown by the listener');
    });
    process.on('uncaughtException', (error) => {
      console.log(error.message);
      tap.close();
    });
    tap.isUp = true;
    console.log('open');
  },
  'open-as-nobody'(netns, name) {
    loadDeviceClass();
    process.setgroups?.([]);
    process.setgid?.(NOBODY);
    process.setuid?.(NOBODY);
    reportError(() => Tap.open({ name }));
    reportError(() => Tap.open({ name, netns }));
  },
  'report-error'(netns, name) {
    reportError(() => Tap.open({ name, netns }));
  },
};

if (isMainThread) {
  const [mode = '', netns = '', name = 'weft0'] = process.argv.slice(2);
  PROGRAMS[mode]?.(netns, name);
} else {
  const { netns, name } = workerData as { readonly netns: string; readonly name: string };
  listen(netns, name);
  parentPort?.postMessage('open in the worker');
}

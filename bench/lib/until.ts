import { setTimeout as pause } from 'node:timers/promises';

const POLL_MS = 50;

/** Asks `isSo` again and again until it says true; rejects after `timeoutMs`, naming what was waited for. */
export async function until(
  what: string,
  isSo: () => Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`);
    await pause(POLL_MS);
  }
}

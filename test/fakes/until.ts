/** Long enough for a machine that is busy with other things; a condition that holds costs none of it. */
const LIMIT_MS = 20_000;

/**
 * Settles once `condition` holds, asking on every turn of the event loop, then every few milliseconds.
 * Rejects, naming `what`, if it never does. For tests over real sockets, whose arrivals no clock drives.
 */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  for (let turn = 0; !condition(); turn++) {
    if (performance.now() > end) throw new Error(`gave up waiting until ${what}`);
    await new Promise<void>((resolve) => {
      if (turn < 50) setImmediate(resolve);
      else setTimeout(resolve, 2);
    });
  }
}

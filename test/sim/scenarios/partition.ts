import type { SimHost } from '../host.ts';
import type { Run, Scenario } from '../run.ts';

const TABLE = 'endpoints';
const CHANGES = 100;
/** The bound from healing to equal views and rows. */
const MOST_MS = 15_000;

/** Writes `CHANGES` rows on each side, spread over the cut. */
function write({ cluster }: Run, sides: readonly (readonly SimHost[])[], ms: number): void {
  for (const [side, hosts] of sides.entries()) {
    for (let row = 0; row < CHANGES; row++) {
      const writer = hosts[row % hosts.length] as SimHost;
      const value = { mac: '02:00:00:00:00:01', address: `10.${side}.0.${row}`, host: writer.name };
      cluster.after((ms * row) / CHANGES, () => writer.put(TABLE, `${side}/${row}`, value));
    }
  }
}

const hasAll = ({ machine: { replica } }: SimHost): boolean => replica.size === 2 * CHANGES;

export const partition: Scenario = {
  name: 'partition',
  describe: `a cut through the middle, ${CHANGES} changes of rows on each side, then healed`,
  ...{ hosts: 1000, minutes: 10 },
  run(run) {
    const { cluster, census, options } = run;
    const hosts = run.form();
    const sides = [hosts.slice(0, hosts.length / 2), hosts.slice(hosts.length / 2)];
    const ms = options.minutes * 60_000;
    census.expectDeaths(hosts);
    cluster.partition(...sides);
    write(run, sides, ms - 10_000);
    run.measure(ms);
    const before = { ...cluster.traffic };
    cluster.heal();
    const healed = cluster.runUntil(
      () => cluster.hosts.every(hasAll) && cluster.isConverged(),
      120_000,
      250,
    );
    const { streamBytes, datagramBytes } = cluster.traffic;
    const moved = streamBytes + datagramBytes - before.streamBytes - before.datagramBytes;
    run.note('payload moved to heal, per host', moved / hosts.length / 1000, 'kB');
    run.must('all views and rows equal after healing', healed, 'ms', MOST_MS);
    run.must(
      'rows still missing somewhere',
      cluster.hosts.filter((host) => !hasAll(host)).length,
      '',
      0,
    );
  },
};

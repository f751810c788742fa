import { existsSync, mkdirSync } from 'node:fs';
import test from 'ava';
import { run } from '../../bench/lib/process.ts';
import { temporaryDirectory } from '../../bench/lib/temporary.ts';
import { attachPair, eventually, makeHosts, upJoined } from './mesh.ts';

/** Where there are no loop devices, no file system can be broken under a daemon. */
const testWithLoop = existsSync('/dev/loop-control') ? test : test.skip;

testWithLoop(
  'a state directory that turns read-only under a running daemon is told by command and status; it goes on forwarding',
  async (t) => {
    const mesh = await makeHosts(t, 'ro', ['a', 'b']);
    const [a, b] = mesh.hosts;
    if (!a || !b) throw new Error('two hosts were asked for');
    const disk = temporaryDirectory('ro');
    t.teardown(() => disk.remove());
    const image = `${disk.path}/image`;
    await run('truncate', ['--size', '16M', image]);
    await run('mkfs.ext4', ['-q', image]);
    mkdirSync(a.stateDirectory);
    await run('mount', ['-o', 'loop', image, a.stateDirectory]);
    t.teardown(() => run('umount', ['--lazy', a.stateDirectory]));
    await a.up();
    await upJoined(b, a);
    const web = await attachPair(mesh, [a, b]);
    await eventually(() => web.answers('10.7.0.3'), 20_000);

    // As ext4 does by itself when the disk fails; a remount refuses while files are open.
    await run('sync', ['--file-system', a.stateDirectory]);
    await run('mount', ['-o', 'remount,abort', a.stateDirectory]);
    for (const name of ['one', 'two']) {
      const refused = await a.tryWeft('network', 'create', name, '--subnet', '10.8.0.0/24');
      t.is(refused.status, 1);
      t.regex(
        refused.stderr,
        /^weft: The state directory can't be written \(.*read-only file system.*\n$/i,
      );
    }
    const tells = async (): Promise<boolean> =>
      (await a.status()).warnings.some((warning) => warning.includes("can't be written"));
    await eventually(tells, 20_000);
    // What comes from the mesh meets the same disk.
    await b.weft('network', 'create', 'red', '--subnet', '10.9.0.0/24');
    await eventually(
      async () => (await a.tryWeft('network', 'inspect', 'red')).status === 0,
      20_000,
    );
    t.true(await web.answers('10.7.0.3'));
    t.true(await tells());
    t.is(await a.daemon?.stop(), 0);

    const again = await a.tryWeft('up', '--state-dir', a.stateDirectory);
    t.is(again.status, 1);
    t.regex(again.stderr, /^weft: The lock file .* can't be opened \(EROFS\); .*\n$/);
  },
);

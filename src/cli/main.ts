import { systemClock } from '../base/clock.ts';
import { errnoOf } from '../base/errors.ts';
import { run } from './run.ts';

// `weft peers | head -1`: the reader went away, and nobody is left to tell.
process.stdout.on('error', (error) => {
  if (errnoOf(error) === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await run(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  env: process.env,
  wallNow: () => systemClock.wallNow(),
  async connect(socket) {
    const { createClient } = await import('../api/client.ts');
    return createClient({ socket });
  },
});

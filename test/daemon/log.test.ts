import test from 'ava';
import { createLogger } from '../../src/daemon/log.ts';

test('a line is one JSON object with time, level, fields and text', async (t) => {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const logger = await createLogger({ level: 'info', destination });
  logger.debug({ a: 1 }, 'not this');
  logger.warn({ peer: 'b', err: new Error('why') }, 'peer is slow');
  t.is(lines.length, 1);
  const line = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  t.is(line['level'], 'warn');
  t.is(line['msg'], 'peer is slow');
  t.is(line['peer'], 'b');
  t.regex(String(line['time']), /^\d{4}-\d\d-\d\dT.*Z$/);
  t.is((line['err'] as { message: string }).message, 'why');
});

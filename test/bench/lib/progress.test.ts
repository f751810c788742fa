import test from 'ava';
import { Progress } from '../../../bench/lib/progress.ts';

function recorder(isTTY: boolean): { readonly said: string[]; readonly progress: Progress } {
  const said: string[] = [];
  return { said, progress: new Progress({ isTTY, write: (text) => said.push(text) }) };
}

test('elsewhere than on a terminal a step is a plain line', (t) => {
  const { said, progress } = recorder(false);
  progress.step('one');
  progress.step('two');
  progress.done();
  t.deepEqual(said, ['one\n', 'two\n']);
});

test('on a terminal the line is drawn over and left empty', (t) => {
  const { said, progress } = recorder(true);
  progress.step('one');
  progress.done();
  progress.done();
  t.is(said.length, 2);
  t.true(said[0]?.endsWith(' one'));
  t.is(said[1], '\r\u001b[2K');
});

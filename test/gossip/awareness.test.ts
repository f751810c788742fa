import test from 'ava';
import { Awareness } from '../../src/gossip/awareness.ts';

test('the score stays between 0 and its limit and stretches spans', (t) => {
  const awareness = new Awareness(3);
  awareness.note(-1);
  t.is(awareness.stretch(100), 100);
  awareness.note(2);
  t.is(awareness.stretch(100), 300);
  awareness.note(9);
  t.is(awareness.score, 3);
  awareness.note(-1);
  t.is(awareness.score, 2);
});

test('a limit of 0 switches it off', (t) => {
  const awareness = new Awareness(0);
  awareness.note(5);
  t.is(awareness.stretch(100), 100);
});

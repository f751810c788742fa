import test from 'ava';
import { asMillis } from '../../src/base/types.ts';
import { presets } from '../../src/gossip/config.ts';
import {
  confirmationsWanted,
  leastSuspicion,
  Suspicion,
  suspicionSpan,
} from '../../src/gossip/suspicion.ts';
import { peerId } from './fixtures.ts';

for (const [hosts, least] of [
  [1, 2450],
  [2, 2450],
  [4, 2450],
  [5, 2650],
  [16, 2650],
  [17, 2850],
  [50, 2850],
  [1000, 3250],
  [5000, 3650],
] as const) {
  test(`lan: a suspect among ${hosts} has at least ${least} ms`, (t) => {
    t.is(leastSuspicion(presets.lan, hosts), asMillis(least));
  });
}

for (const [hosts, wanted] of [
  [2, 0],
  [3, 0],
  [4, 2],
  [100, 2],
] as const) {
  test(`among ${hosts} hosts ${wanted} confirmations are waited for`, (t) => {
    t.is(confirmationsWanted(presets.lan, hosts), wanted);
  });
}

for (const [confirmations, wanted, span] of [
  [0, 0, 1000],
  [0, 3, 4000],
  [1, 3, 2500],
  [3, 3, 1000],
  [9, 3, 1000],
] as const) {
  test(`${confirmations} of ${wanted} confirmations leave ${span} ms of 1000 to 4000`, (t) => {
    t.is(Math.round(suspicionSpan(1000, 4000, confirmations, wanted)), span);
  });
}

test('each accuser counts once, and no more than are wanted', (t) => {
  const suspicion = new Suspicion(presets.lan, 10, peerId('1'), asMillis(100));
  t.is(suspicion.deadline, asMillis(100 + 5300));
  t.false(suspicion.confirm(peerId('1')));
  t.true(suspicion.confirm(peerId('2')));
  t.true(suspicion.confirm(peerId('3')));
  t.is(suspicion.deadline, asMillis(100 + 2650));
  t.false(suspicion.confirm(peerId('4')));
});

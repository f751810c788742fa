import test from 'ava';
import { nearest, suggestion } from '../../src/base/nearest.ts';

const KEYS = ['name', 'listen', 'vxlanPort', 'stateDir'];

test('finds what was meant', (t) => {
  t.is(nearest('vxlan_port', KEYS), 'vxlanPort');
  t.is(nearest('lisen', KEYS), 'listen');
  t.is(nearest('STATE-DIR', KEYS), 'stateDir');
});

test('is silent when nothing is near', (t) => {
  t.is(nearest('encryption', KEYS), undefined);
  t.is(suggestion('encryption', KEYS), '');
  t.is(suggestion('nmae', KEYS), '');
  t.is(suggestion('names', KEYS), ' (did you mean "name"?)');
});

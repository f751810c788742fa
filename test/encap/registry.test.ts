import test from 'ava';
import { AppError } from '../../src/base/errors.ts';
import { createEncapsulations } from '../../src/encap/registry.ts';
import { vxlan } from '../../src/encap/vxlan.ts';

test('formats are found by name', (t) => {
  const encapsulations = createEncapsulations();
  t.deepEqual(encapsulations.names, ['vxlan', 'sealed']);
  t.is(encapsulations.get('vxlan'), vxlan);
});

test('an unknown name is refused with the known ones', (t) => {
  const encapsulations = createEncapsulations().register({ ...vxlan, name: 'other' });
  const error = t.throws(() => encapsulations.get('vlxan'), { instanceOf: AppError });
  t.is(error.code, 'E_ENCAP_UNKNOWN');
  t.is(error.message, 'There is no encapsulation "vlxan"; choose one of: vxlan, sealed, other.');
});

test('a name is taken once; registries share nothing', (t) => {
  t.throws(() => createEncapsulations().register(vxlan), { message: /registered twice/ });
  createEncapsulations().register({ ...vxlan, name: 'other' });
  t.deepEqual(createEncapsulations().names, ['vxlan', 'sealed']);
});

import test from 'ava';
import { AppError } from '../../src/base/errors.ts';
import type { DataPlane, DataPlaneOptions } from '../../src/dataplane/dataplane.ts';
import { type DataPlaneFactory, openDataPlane } from '../../src/dataplane/select.ts';

const options: DataPlaneOptions = { addresses: ['127.0.0.1'], meshPort: 0, vxlanPort: 0 };

/** A factory whose planes are nothing but a kind. */
function factory(kind: 'portable' | 'native', obstacle?: string): DataPlaneFactory {
  const plane = { description: { kind, features: {} } } as DataPlane;
  return { unavailable: () => obstacle, open: () => Promise.resolve(plane) };
}

const portable = factory('portable');
const native = factory('native');
const tooOld = factory('native', 'the kernel is 4.1, and 4.18 or later is needed');

test('without a native plane, auto takes the portable one and says why', async (t) => {
  const { plane, reason } = await openDataPlane('auto', options, { portable });
  t.is(plane.description.kind, 'portable');
  t.is(reason, 'no native data plane is built');
});

test('without a native plane, asking for it is an error with a way out', async (t) => {
  await t.throwsAsync(openDataPlane('native', options, { portable }), {
    code: 'E_DATA_PLANE_UNAVAILABLE',
    message: /no native data plane is built; start with --data-plane auto or portable/,
  });
});

test('a native plane that can run is taken by auto and on request', async (t) => {
  for (const kind of ['auto', 'native'] as const) {
    const { plane, reason } = await openDataPlane(kind, options, { portable, native });
    t.is(plane.description.kind, 'native');
    t.regex(reason, kind === 'auto' ? /can run here/ : /was asked for/);
  }
});

test('a native plane that cannot run here is passed over by auto, with its reason', async (t) => {
  const factories = { portable, native: tooOld };
  const { plane, reason } = await openDataPlane('auto', options, factories);
  t.is(plane.description.kind, 'portable');
  t.is(reason, 'the kernel is 4.1, and 4.18 or later is needed');
  await t.throwsAsync(openDataPlane('native', options, factories), {
    code: 'E_DATA_PLANE_UNAVAILABLE',
    message: /the kernel is 4\.1/,
  });
});

test('the portable plane is taken on request even where the native one could run', async (t) => {
  const { plane, reason } = await openDataPlane('portable', options, { portable, native });
  t.is(plane.description.kind, 'portable');
  t.is(reason, 'the portable data plane was asked for');
});

test('a native plane that fails to open is not papered over', async (t) => {
  const error = new AppError('E_BIND', 'cannot listen on UDP port 4789');
  const broken: DataPlaneFactory = { ...native, open: () => Promise.reject(error) };
  await t.throwsAsync(openDataPlane('auto', options, { portable, native: broken }), { is: error });
});

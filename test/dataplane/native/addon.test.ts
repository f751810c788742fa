import test from 'ava';
import { DROP_REASONS } from '../../../src/dataplane/drop-reason.ts';
import { loadNativeAddon } from '../../../src/dataplane/native/addon.ts';
import {
  nativeAvailability,
  takesUdpSuperFrames,
} from '../../../src/dataplane/native/availability.ts';

test('every drop reason of the addon is documented', (t) => {
  const documented: readonly string[] = DROP_REASONS;
  t.deepEqual(
    loadNativeAddon().dropReasons.filter((reason) => !documented.includes(reason)),
    [],
  );
});

test('the addon is available, and names what seals', (t) => {
  t.deepEqual(nativeAvailability(), { available: true, reason: '' });
  t.regex(loadNativeAddon().cipherLibrary, /Intel|OpenSSL/);
});

test('UDP super-frames are for Linux 6.2 and later', (t) => {
  t.deepEqual(['5.10.0-8-amd64', '6.1.0', '6.2.0-rc1', '6.18.44', '10.0'].map(takesUdpSuperFrames), [
    ...[false, false, true, true, true],
  ]);
});

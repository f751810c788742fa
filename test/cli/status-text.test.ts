import test from 'ava';
import { statusText } from '../../src/cli/status-text.ts';
import { FAKE_STATUS } from '../fakes/fake-control.ts';

const NOW = Date.parse(FAKE_STATUS.startedAt) + 60_000;

test('where metrics are served is said if they are', (t) => {
  t.notRegex(statusText(FAKE_STATUS, NOW), /metrics/);
  const metrics = 'http://192.0.2.1:9477/metrics';
  t.regex(
    statusText({ ...FAKE_STATUS, metrics }, NOW),
    /metrics +http:\/\/192\.0\.2\.1:9477\/metrics/,
  );
});

test('networks of the mesh and networks carried here are told apart', (t) => {
  t.regex(statusText(FAKE_STATUS, NOW), /networks +1 in the mesh, 1 carried here/);
  t.regex(statusText(FAKE_STATUS, NOW), /endpoints +2 in the mesh, 1 here/);
  const idle = { ...FAKE_STATUS, dataPlane: { ...FAKE_STATUS.dataPlane, ports: [] } };
  t.regex(statusText(idle, NOW), /networks +1 in the mesh, 0 carried here/);
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { DaemonSet } from 'kubernetes-models/apps/v1';
import { ConfigMap, Namespace, ServiceAccount } from 'kubernetes-models/v1';
import { parseAllDocuments } from 'yaml';
import { packageRoot } from '../../src/base/package-root.ts';
import { CONFIG_KEYS, environmentName } from '../../src/daemon/config.ts';
import { readCall } from '../../src/plugin/cni/call.ts';
import { readConfig } from '../../src/plugin/cni/config.ts';
import { handedOn } from '../plugin/cni/fixture.ts';

/*
 * The manifest against the JSON schemas of Kubernetes' API (kubernetes-models), which refuse keys that
 * there are not, and against what this version of Weft reads.
 */

const MANIFEST = join(packageRoot, 'deploy/kubernetes/weft.yaml');
const KINDS = { Namespace, ServiceAccount, ConfigMap, DaemonSet } as const;

interface Named {
  readonly kind: keyof typeof KINDS;
}

const documents = parseAllDocuments(readFileSync(MANIFEST, 'utf8'), { uniqueKeys: true });
const objects = documents.map((each) => each.toJS() as Named);

function find<Kind extends Named['kind']>(kind: Kind): InstanceType<(typeof KINDS)[Kind]> {
  const object = objects.find((each) => each.kind === kind);
  if (object === undefined) throw new Error(`the manifest has no ${kind}`);
  return object as unknown as InstanceType<(typeof KINDS)[Kind]>;
}

test('every object is one of the API, without a key too many', (t) => {
  t.deepEqual(
    documents.flatMap(({ errors }) => errors),
    [],
  );
  t.deepEqual(
    objects.map(({ kind }) => kind),
    ['Namespace', 'ServiceAccount', 'ConfigMap', 'DaemonSet'],
  );
  for (const object of objects) {
    const made = new KINDS[object.kind](object as never);
    t.notThrows(() => made.validate(), object.kind);
  }
});

test('the schemas do refuse what is wrong', (t) => {
  const broken = structuredClone(find('DaemonSet')) as { spec: { template: object } };
  Object.assign(broken.spec.template, { spec: { hostNetwork: 'yes', containers: [] } });
  t.throws(() => new DaemonSet(broken as never).validate(), { message: /hostNetwork/ });
});

test('every name that one object uses, another has', (t) => {
  const { spec } = find('DaemonSet');
  const pod = spec?.template.spec;
  const volumes = (pod?.volumes ?? []).map(({ name }) => name);
  const containers = [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])];
  const mounted = containers.flatMap(({ volumeMounts = [] }) =>
    volumeMounts.map(({ name }) => name),
  );
  t.deepEqual([...new Set(mounted)].sort(), [...volumes].sort());
  t.deepEqual(spec?.selector.matchLabels, spec?.template.metadata?.labels);
  t.is(pod?.serviceAccountName, find('ServiceAccount').metadata?.name);
  const settings = CONFIG_KEYS.map(environmentName);
  for (const { name } of containers.flatMap(({ env = [] }) => env)) t.true(settings.includes(name));
});

test('the config that is installed is one that the plugin reads', (t) => {
  const { data } = find('ConfigMap');
  const list = JSON.parse(data?.['10-weft.conflist'] ?? '') as {
    readonly cniVersion: string;
    readonly name: string;
    readonly plugins: readonly object[];
  };
  const { cniVersion, name, plugins } = list;
  t.is(plugins.length, 1);
  const config = readConfig(readCall(handedOn('ADD', { ...plugins[0], cniVersion, name })));
  t.like(config, { name: 'weft-pods', type: 'weft', subnet: '10.32.0.0/12' });
});

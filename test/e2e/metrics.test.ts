import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'ava';
import { packageRoot } from '../../src/base/package-root.ts';
import { joinAll, sealedNetwork, containers, LONG_MS } from './links.ts';
import { eventually, makeHosts, type WeftHost } from './mesh.ts';

const PROMTOOL = '/usr/bin/promtool';
const RULES = join(packageRoot, 'deploy/prometheus/weft.rules.yml');
const RULE_TESTS = join(packageRoot, 'test/e2e/weft.rules.test.yml');
const PORT = 9477;

/** As a scraper on the host does: status, content type, text. */
async function scrape(host: WeftHost, url: string): Promise<[number, string, string]> {
  const program = `
    const reply = await fetch(${JSON.stringify(url)});
    console.log(JSON.stringify([reply.status, reply.headers.get('content-type'), await reply.text()]));
  `;
  const out = await host.namespace.run(process.execPath, [
    ...['--input-type=module', '--eval', program],
  ]);
  return JSON.parse(out) as [number, string, string];
}

function promtool(words: readonly string[], input = '') {
  const { status, stdout, stderr } = spawnSync(PROMTOOL, words, { input, encoding: 'utf8' });
  return { status, text: `${stdout}${stderr}` };
}

test('Prometheus reads the metrics port of hosts that have one, on that address alone', async (t) => {
  const mesh = await makeHosts(t, 'metrics', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const addressOf = (host: WeftHost): string =>
    host === a ? `${a.host.address}:${PORT}` : `[${b.host.address6}]:${PORT}`;
  await joinAll(mesh.hosts, (host) => ['--metrics', addressOf(host)]);
  await sealedNetwork(mesh.hosts);
  const [web] = await containers(mesh);
  await eventually(async () => (await web?.answers('10.7.0.3')) ?? false, LONG_MS);

  for (const host of [a, b]) {
    const url = `http://${addressOf(host)}/metrics`;
    const [status, type, text] = await scrape(host, url);
    t.deepEqual([status, type], [200, 'text/plain; version=0.0.4; charset=utf-8']);
    t.regex(text, /^weft_link_sealed\{peer="[ab]"\} 1$/m);
    t.deepEqual(promtool(['check', 'metrics'], text), { status: 0, text: '' });
    t.is((await host.status()).metrics, url);
    t.true((await host.weft('status')).includes(url));
  }
  // The other host reaches it too, and what else this one has an address for does not.
  t.is((await scrape(b, `http://${addressOf(a)}/metrics`))[0], 200);
  await t.throwsAsync(scrape(a, `http://127.0.0.1:${PORT}/metrics`));
});

test('a metrics port that is taken is one sentence, and nothing is left half done', async (t) => {
  const { hosts } = await makeHosts(t, 'metricstaken', ['a', 'b']);
  const [a, b] = hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  await a.up('--metrics', `127.0.0.1:${PORT}`);
  const { status, stderr, stdout } = await a.namespace.tryRun(process.execPath, [
    ...[join(packageRoot, 'bin/weft'), 'up', '--name', 'other', '--listen', ':7790'],
    ...['--vxlan-port', '0', '--socket', b.socket, '--state-dir', b.stateDirectory],
    ...['--metrics', `127.0.0.1:${PORT}`, '--log-level', 'silent'],
  ]);
  t.is(status, 1);
  t.is(stdout, '');
  t.regex(
    stderr,
    /^weft: The daemon can't listen on TCP port 9477 on 127\.0\.0\.1: it is in use .*\(EADDRINUSE\)\.\n$/,
  );
  t.is((await b.tryWeft('status')).status, 3);
});

test('the alerts are what Prometheus takes, and each comes when it should', (t) => {
  for (const words of [
    ['check', 'rules', RULES],
    ['test', 'rules', RULE_TESTS],
  ]) {
    const { status, text } = promtool(words);
    t.is(status, 0, text);
  }
});

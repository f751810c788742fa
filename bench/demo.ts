/**
 * `npm run demo`: two hosts, one Ethernet, in half a minute. The hosts are network namespaces joined by
 * a veth; each runs a Weft daemon and has one container (a namespace again). Everything is removed
 * afterwards, also on Ctrl-C. Exit status 0 only if traffic really crossed the overlay.
 */
import { Interrupt } from './lib/interrupt.ts';
import { Lab, type LabHost, type LabNamespace } from './lib/lab.ts';
import { markdownTable } from './lib/markdown.ts';
import { Progress } from './lib/progress.ts';
import { median } from './lib/statistics.ts';
import { temporaryDirectory } from './lib/temporary.ts';
import { UNDERLAY_MTU } from './lib/topology.ts';
import { until } from './lib/until.ts';
import { WeftHost } from './lib/weft-host.ts';
import { CONGESTION_CONTROL } from './probes/tcp.ts';

const NETWORK = 'blue';
const SUBNET = '10.7.0.0/24';
const HOST_NAMES = ['alpha', 'beta'] as const;
const ADDRESSES = ['10.7.0.1', '10.7.0.2'] as const;
const PINGS = 40;
const PING_INTERVAL_SECONDS = 0.02;
const IPERF_SECONDS = 3;
const LOG_LINES = 15;

/** What one path between two namespaces does. */
interface PathReport {
  readonly name: string;
  readonly mtu: number;
  readonly pings: string;
  readonly medianUs: number;
  readonly gbps: number;
}

interface Stage {
  readonly lab: Lab;
  readonly progress: Progress;
  readonly interrupt: Interrupt;
  readonly hosts: readonly [WeftHost, WeftHost];
  readonly containers: readonly [LabNamespace, LabNamespace];
}

function heading(text: string): void {
  console.log(`\n${text}`);
}

/** Shows a command as one would type it on that host, and what it printed. */
function show(host: string, command: string, output = ''): void {
  console.log(`  ${host} $ ${command}`);
  for (const line of output.trimEnd().split('\n')) if (line !== '') console.log(`    ${line}`);
}

async function measurePath(
  stage: Stage,
  name: string,
  [from, to]: readonly [LabNamespace, LabNamespace],
  path: { readonly address: string; readonly mtu: number; readonly prompt: string },
): Promise<PathReport> {
  const { address, mtu, prompt } = path;
  stage.interrupt.check();
  show(prompt, `ping -c ${PINGS} -i ${PING_INTERVAL_SECONDS} ${address}`);
  stage.progress.step(`  … ${PINGS} pings over the ${name}`);
  const { sent, received, roundTripsMs } = await from.ping(address, {
    count: PINGS,
    intervalSeconds: PING_INTERVAL_SECONDS,
  });
  stage.progress.done();
  stage.interrupt.check();
  show(prompt, `iperf3 -c ${address} -t ${IPERF_SECONDS} -C ${CONGESTION_CONTROL}`);
  stage.progress.step(`  … ${IPERF_SECONDS} s of TCP over the ${name}`);
  const { bitsPerSecond } = await from.iperfTo(to, {
    address,
    seconds: IPERF_SECONDS,
    extra: ['-C', CONGESTION_CONTROL],
  });
  stage.progress.done();
  if (received === 0 || bitsPerSecond === 0) throw new Error(`nothing crossed the ${name}`);
  const medianUs = median(roundTripsMs) * 1000;
  return { name, mtu, pings: `${received}/${sent}`, medianUs, gbps: bitsPerSecond / 1e9 };
}

async function startDaemons({ hosts, progress, interrupt }: Stage): Promise<void> {
  heading('A daemon on each host; the second joins the first:');
  const [alpha, beta] = hosts;
  for (const host of hosts) {
    interrupt.check();
    progress.step(`  … starting weft on ${host.name}`);
    const ready = await host.up();
    progress.done();
    show(host.name, `weft up --name ${host.name} --listen ${host.meshAddress}`, ready);
  }
  console.log('  (each with a --socket and --state-dir of its own, as they share this machine)');
  progress.step('  … joining');
  const token = (await alpha.weft('token')).trim();
  const joined = await beta.weft('join', alpha.meshAddress, '--token', token);
  await Promise.all(hosts.map((host) => host.seesAlive(hosts.length)));
  const peers = await beta.weft('peers');
  progress.done();
  show('alpha', 'weft token', token);
  show('beta', `weft join ${alpha.meshAddress} --token ${token.slice(0, 12)}…`, joined);
  show('beta', 'weft peers', peers);
}

/** Returns the MTU that the network gave its containers. */
async function wireContainers({ hosts, containers, progress }: Stage): Promise<number> {
  heading('One network, a container on each host (here an empty network namespace):');
  const [alpha, beta] = hosts;
  const created = await alpha.weft('network', 'create', NETWORK, '--subnet', SUBNET);
  show('alpha', `weft network create ${NETWORK} --subnet ${SUBNET}`, created);
  progress.step('  … waiting until beta has heard of it by gossip');
  await beta.seesNetwork(NETWORK);
  progress.done();
  const mtus = [];
  for (const [index, host] of hosts.entries()) {
    const [container, ip] = [containers[index === 0 ? 0 : 1], ADDRESSES[index === 0 ? 0 : 1]];
    const { address, mac, ifname, mtu } = await host.attach(NETWORK, container, ip);
    const made = `${ifname} in the container: ${address}, ${mac}, MTU ${mtu}`;
    show(host.name, `weft attach ${NETWORK} --netns ${container.name} --ip ${ip}`, made);
    mtus.push(mtu);
  }
  progress.step('  … waiting until the hosts have agreed on keys');
  await until('the containers to reach each other', () => containers[0].answers(ADDRESSES[1]));
  progress.done();
  return Math.min(...mtus);
}

function printTable(reports: readonly PathReport[]): void {
  const columns = [
    { title: 'path', align: 'left' },
    { title: 'MTU', align: 'right' },
    { title: 'pings answered', align: 'right' },
    { title: 'RTT median', align: 'right' },
    { title: 'TCP', align: 'right' },
  ] as const;
  const rows = reports.map(({ name, mtu, pings, medianUs, gbps }) => [
    name,
    String(mtu),
    pings,
    `${medianUs.toFixed(0)} µs`,
    `${gbps.toFixed(2)} Gb/s`,
  ]);
  console.log(`\n${markdownTable(columns, rows)}\n`);
}

async function play(stage: Stage): Promise<void> {
  const [a, b] = stage.hosts.map(({ host }) => host) as [LabHost, LabHost];
  heading('Two hosts (network namespaces) joined by a cable (a veth pair):');
  console.log(`  alpha ${a.address} ═══ ${b.address} beta`);
  const cable = { address: b.address, mtu: UNDERLAY_MTU, prompt: 'alpha' };
  const bare = await measurePath(stage, 'bare cable', [a.namespace, b.namespace], cable);
  await startDaemons(stage);
  const mtu = await wireContainers(stage);
  heading('Both containers are now on one Ethernet. Measuring from one to the other:');
  const overlay = { address: ADDRESSES[1], mtu, prompt: 'container on alpha' };
  const weft = await measurePath(stage, 'Weft overlay', stage.containers, overlay);
  const { dataPlane } = await stage.hosts[0].status();
  printTable([bare, weft]);
  console.log(
    `Every frame of the second row was carried by the two daemons (data plane: ${dataPlane.kind}).`,
    'Both hosts, both daemons and both programs share this one machine, so read the table as a',
    'comparison; `npm run bench` measures with care.',
  );
}

/** Tells what failed, with the last that the daemons said. */
function explain(error: unknown, hosts: readonly WeftHost[]): void {
  console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
  for (const host of hosts) {
    const lines = host.lastLines(LOG_LINES).filter((line) => line !== '');
    if (lines.length === 0) continue;
    console.error(`\nLast lines of the daemon on ${host.name}:`);
    for (const line of lines) console.error(`  ${line}`);
  }
}

async function setStage(lab: Lab, directory: string, interrupt: Interrupt): Promise<Stage> {
  const [alpha, beta] = await lab.underlay(HOST_NAMES);
  if (alpha === undefined || beta === undefined) throw new Error('the lab made no two hosts');
  const weftHost = (host: LabHost, name: string): WeftHost =>
    new WeftHost(host, { name, directory, dataPlane: 'auto' });
  return {
    lab,
    progress: new Progress(process.stdout),
    interrupt,
    hosts: [weftHost(alpha, HOST_NAMES[0]), weftHost(beta, HOST_NAMES[1])],
    containers: [await lab.namespace('c1'), await lab.namespace('c2')],
  };
}

async function main(): Promise<void> {
  const interrupt = new Interrupt();
  const directory = temporaryDirectory('demo');
  const lab = new Lab('demo');
  let stage: Stage | undefined;
  try {
    stage = await setStage(lab, directory.path, interrupt);
    await play(stage);
  } catch (error) {
    stage?.progress.done();
    if (interrupt.exitStatus === undefined) explain(error, stage?.hosts ?? []);
    else console.error('\nInterrupted: everything that was made is being removed.');
    process.exitCode = interrupt.exitStatus ?? 1;
  } finally {
    await lab.destroy();
    directory.remove();
  }
}

await main();

import type { Status, Traffic } from '../api/control.ts';
import { countOf, facts, humanAge, humanBytes, table } from './output.ts';
import { dropPhrase } from './drop-phrases.ts';

const traffic = ({ rxFrames, rxBytes, txFrames, txBytes }: Traffic): string[] => [
  `${rxFrames} (${humanBytes(rxBytes)})`,
  `${txFrames} (${humanBytes(txBytes)})`,
];

function troubles({ warnings, gossip }: Status): string[] {
  const { suspect, dead } = gossip.members;
  return [
    ...warnings.map((warning) => `warning: ${warning}`),
    ...(dead > 0 ? [`warning: ${countOf(dead, 'host')} dead; see "weft peers".`] : []),
    ...(suspect > 0 ? [`warning: ${countOf(suspect, 'host')} not answering.`] : []),
  ];
}

function memberLine({ gossip: { members } }: Status): string {
  const states = (['alive', 'suspect', 'dead', 'left'] as const).filter(
    (state) => members[state] > 0,
  );
  return states.map((state) => `${members[state]} ${state}`).join(', ') || 'this host alone';
}

const answers = ({ arp, nd, tooBig }: Status['dataPlane']['answered']): string =>
  `${countOf(arp, 'ARP request')} and ${countOf(nd, 'IPv6 solicitation')} for endpoints elsewhere` +
  (tooBig > 0 ? `; ${countOf(tooBig, 'packet')} refused as too long` : '');

/** Each network of the host has an address more to be asked at: the first tell what they are like. */
const SHOWN_ADDRESSES = 2;

function namesLine({ dns: { domain, listening } }: Status): string {
  if (listening.length === 0) return `${domain}, not answered on this host`;
  const more = listening.length - SHOWN_ADDRESSES;
  const shown = listening.slice(0, SHOWN_ADDRESSES).join(', ');
  return `${domain}, answered at ${shown}${more > 0 ? ` and ${more} more` : ''}`;
}

function linkTable({ links: { peers } }: Status): string {
  const rows = peers.map(({ peer, state, cipher = '', plain, keyAgeSeconds, unanswered }) => [
    peer,
    state === 'sealed'
      ? plain === undefined
        ? cipher
        : `plain: ${plain}`
      : `no answer to ${unanswered}`,
    keyAgeSeconds === undefined ? '' : `${keyAgeSeconds}s`,
  ]);
  return table(['SEALED LINK', 'CIPHER', 'KEY AGE'], rows, '');
}

function refusedTable({ links: { counters } }: Status): string {
  const rows = Object.entries(counters)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => [name, String(count)]);
  return table(['REFUSED HANDSHAKES', 'COUNT'], rows, '');
}

/** Those that take what the interface takes are nothing to look at. */
function pathTable({ pathMtu: { paths } }: Status): string {
  const rows = paths
    .filter(({ mtu, phase, interfaceMtu }) => mtu !== interfaceMtu || phase !== 'complete')
    .map(({ peer, mtu, phase, interfaceMtu }) => [
      peer,
      mtu === undefined ? 'not known' : String(mtu),
      String(interfaceMtu),
      PHASES[phase],
    ]);
  return table(['PATH TO', 'MTU', 'OWN INTERFACE', 'SEARCH'], rows, '');
}

const PHASES = {
  base: 'no answer yet',
  searching: 'goes on',
  complete: 'done',
  error: 'no answer any more, or below the least',
} as const;

function dnsTable({ dns: { counters } }: Status): string {
  const rows = Object.entries(counters)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => [name, String(count)]);
  return table(['NAMES', 'COUNT'], rows, '');
}

function identity(status: Status, wallNow: number): string {
  const { dataPlane, endpoints, networks } = status;
  const carried = new Set(dataPlane.ports.map(({ network }) => network)).size;
  return facts([
    ['host', `${status.name} (${status.id.slice(0, 8)}), weft ${status.version}`],
    ['up', `${humanAge(status.startedAt, wallNow)}, pid ${status.pid}`],
    ['mesh', `${memberLine(status)}; listens on ${status.meshAddress}`],
    ['told to others', `${status.advertise}, VXLAN port ${status.vxlanPort}`],
    ['key', status.key],
    ...(status.trustedSubnets === undefined
      ? []
      : [['trusted subnets', status.trustedSubnets.join(', ')] as const]),
    ...(status.metrics === undefined ? [] : [['metrics', status.metrics] as const]),
    ['networks', `${networks} in the mesh, ${carried} carried here`],
    ['endpoints', `${endpoints.mesh} in the mesh, ${endpoints.local} here`],
    ['names', namesLine(status)],
    ['other names', status.dns.upstreams.join(', ') || 'nobody is asked'],
    ['data plane', `${dataPlane.kind} (${dataPlane.reason})`],
    ['answered here', answers(dataPlane.answered)],
    ...Object.entries(dataPlane.features).map(([name, value]) => [`  ${name}`, value] as const),
  ]);
}

function dropTable({ dataPlane: { drops } }: Status): string {
  const rows = Object.entries(drops)
    .filter(([, count]) => count > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => [name, String(count), dropPhrase(name)]);
  return table(['DROPPED', 'FRAMES', 'BECAUSE'], rows, 'Nothing was dropped.');
}

function portTable({ dataPlane: { ports } }: Status): string {
  const rows = ports.map((port) => [port.network, port.device, ...traffic(port)]);
  return table(['NETWORK', 'DEVICE', 'FROM CONTAINERS', 'TO CONTAINERS'], rows, '');
}

function vtepTable({ dataPlane: { vteps } }: Status): string {
  const rows = vteps.map((vtep) => [vtep.network, vtep.peer ?? vtep.address, ...traffic(vtep)]);
  return table(['NETWORK', 'VTEP', 'RECEIVED', 'SENT'], rows, '');
}

/** `weft status` for a person: trouble first, then what runs, then what moves, then what was dropped. */
export function statusText(status: Status, wallNow: number): string {
  const parts = [
    troubles(status).join('\n'),
    identity(status, wallNow),
    portTable(status),
    vtepTable(status),
    linkTable(status),
    refusedTable(status),
    pathTable(status),
    dnsTable(status),
    dropTable(status),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

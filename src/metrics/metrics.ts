import type { LinkDetail, Status } from '../api/control.ts';

/** One metric of Prometheus' text format 0.0.4, with its values by labels. */
interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly samples: readonly (readonly [Readonly<Record<string, string>>, number])[];
}

const escapeValue = (text: string): string =>
  text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"');

function sampleLine(name: string, labels: Readonly<Record<string, string>>, value: number): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escapeValue(text)}"`);
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}`;
}

function metricText({ name, help, type, samples }: Metric): string {
  if (samples.length === 0) return '';
  const lines = samples.map(([labels, value]) => sampleLine(name, labels, value));
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ''].join('\n');
}

const byLabel = (
  label: string,
  counts: Readonly<Record<string, number>>,
): (readonly [Readonly<Record<string, string>>, number])[] =>
  Object.entries(counts).map(([key, count]) => [{ [label]: key }, count] as const);

/** `rttMs`, of the path in use and the others alike. */
function pathSamples(
  links: readonly LinkDetail[],
  valueOf: (path: LinkDetail['paths'][number]) => number | undefined,
): (readonly [Readonly<Record<string, string>>, number])[] {
  return links.flatMap(({ peer, paths }) =>
    paths.flatMap((path) => {
      const value = valueOf(path);
      return value === undefined ? [] : [[{ peer, path: path.path }, value] as const];
    }),
  );
}

function linkMetrics(links: readonly LinkDetail[]): Metric[] {
  const gauge = (name: string, help: string, samples: Metric['samples']): Metric => ({
    ...{ name: `weft_link_${name}`, help, type: 'gauge', samples },
  });
  const counter = (name: string, help: string, samples: Metric['samples']): Metric => ({
    ...{ name: `weft_link_${name}`, help, type: 'counter', samples },
  });
  const each = (valueOf: (link: LinkDetail) => number): Metric['samples'] =>
    links.map((link) => [{ peer: link.peer }, valueOf(link)]);
  return [
    gauge(
      'path_info',
      'The way in use to each host.',
      links.map(({ peer, path, kind, why }) => [{ peer, path, kind, why }, 1]),
    ),
    gauge(
      'relayed',
      '1 if frames to the host go by a relay.',
      each(({ kind }) => Number(kind === 'relay')),
    ),
    gauge(
      'sealed',
      '1 if there are keys for the host.',
      each(({ keys }) => Number(keys === 'sealed')),
    ),
    gauge(
      'plain',
      '1 if frames of sealed networks go to the host in the clear, where both ends trust the way.',
      each(({ trust }) => Number(trust?.isPlain === true)),
    ),
    gauge(
      'handshake_timestamp_seconds',
      'When the keys in use were agreed on.',
      links.flatMap(({ peer, lastHandshake }) =>
        lastHandshake === undefined ? [] : [[{ peer }, Date.parse(lastHandshake) / 1000] as const],
      ),
    ),
    gauge(
      'mtu_bytes',
      'Least MTU of the underlay that is known to pass.',
      links.flatMap(({ peer, mtu }) => (mtu === undefined ? [] : [[{ peer }, mtu] as const])),
    ),
    counter(
      'path_changes_total',
      'Changes of the path in use.',
      each(({ flaps }) => flaps),
    ),
    counter(
      'receive_bytes_total',
      'Bytes of frames from the host.',
      each(({ traffic }) => traffic.rxBytes),
    ),
    counter(
      'transmit_bytes_total',
      'Bytes of frames to the host.',
      each(({ traffic }) => traffic.txBytes),
    ),
    counter(
      'receive_frames_total',
      'Frames from the host.',
      each(({ traffic }) => traffic.rxFrames),
    ),
    counter(
      'transmit_frames_total',
      'Frames to the host.',
      each(({ traffic }) => traffic.txFrames),
    ),
    gauge(
      'rtt_seconds',
      'Smoothed round trip of each measured path.',
      pathSamples(links, ({ rttMs }) => rttMs && rttMs / 1000),
    ),
    gauge(
      'jitter_seconds',
      'Mean deviation of the round trip.',
      pathSamples(links, ({ jitterMs }) => jitterMs / 1000),
    ),
    gauge(
      'loss_ratio',
      'Part of the last probes that were not answered.',
      pathSamples(links, ({ lossPercent }) => lossPercent / 100),
    ),
    gauge(
      'path_up',
      '1 if the path answers.',
      pathSamples(links, ({ state }) => Number(state === 'up')),
    ),
  ];
}

function hostMetrics(status: Status): Metric[] {
  const { dataPlane, gossip, links, endpoints } = status;
  const metric = (
    name: string,
    type: Metric['type'],
    help: string,
    samples: Metric['samples'],
  ): Metric => ({ name: `weft_${name}`, type, help, samples });
  return [
    metric('info', 'gauge', 'The host and its version.', [
      [{ host: status.name, version: status.version, data_plane: dataPlane.kind }, 1],
    ]),
    metric('members', 'gauge', 'Hosts of the mesh by state.', byLabel('state', gossip.members)),
    metric('endpoints', 'gauge', 'Endpoints of this host.', [[{}, endpoints.local]]),
    metric(
      'drops_total',
      'counter',
      'Frames that were dropped, by reason.',
      byLabel('reason', dataPlane.drops),
    ),
    metric(
      'refused_total',
      'counter',
      'Control datagrams of links that were refused, by reason.',
      byLabel('reason', links.counters),
    ),
    metric(
      'path_mtu_total',
      'counter',
      'Probes for the MTU of paths, and what they found: black holes are paths that shrank.',
      byLabel('event', status.pathMtu.counters),
    ),
    metric('gossip_total', 'counter', 'What gossip counts.', byLabel('what', gossip.counters)),
  ];
}

/** What a host counts, in Prometheus' text format 0.0.4. Names end in their unit; counters in `_total`. */
export function metricsText(status: Status, links: readonly LinkDetail[]): string {
  return [...hostMetrics(status), ...linkMetrics(links)].map(metricText).join('');
}

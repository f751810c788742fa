import type { EndpointInfo, PortRequest } from '../api/control.ts';
/** Plain text for people: aligned columns, short sizes and ages. No colours, no borders: it pipes well. */

/** Rows under a heading, columns two spaces apart, no space at line ends; `empty` if there are none. */
export function table(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
  empty: string,
): string {
  if (rows.length === 0) return empty;
  const lines = [heading, ...rows];
  const widths = heading.map((_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? '').length)),
  );
  return lines.map((line) => alignedLine(line, widths)).join('\n');
}

function alignedLine(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, column) => cell.padEnd(widths[column] ?? 0))
    .join('  ')
    .trimEnd();
}

/** `label: value` lines with the values in one column. */
export function facts(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([label]) => label.length));
  return pairs.map(([label, value]) => `${label.padEnd(width)}  ${value}`).join('\n');
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `0 B`, `1.5 KiB`, `23 GiB`. */
export function humanBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit > 0 && value < 10 ? 1 : 0;
  return `${value.toFixed(digits)} ${UNITS[unit] ?? ''}`;
}

/** The two largest units of a span: `8s`, `2m 5s`, `3h 0m`, `12d 4h`. */
export function humanSpan(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${whole % 60}s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)}h ${Math.floor((whole % 3600) / 60)}m`;
  return `${Math.floor(whole / 86_400)}d ${Math.floor((whole % 86_400) / 3600)}h`;
}

/** How long ago an ISO time was. */
export function humanAge(iso: string, wallNow: number): string {
  return humanSpan((wallNow - Date.parse(iso)) / 1000);
}

/** An endpoint's addresses with their prefix lengths, IPv4 first. */
export function addressesText(
  { address, address6 }: Pick<EndpointInfo, 'address' | 'address6'>,
  between: string,
): string {
  return address6 === undefined ? address : `${address}${between}${address6}`;
}

/** `1 network`, `2 networks`. */
export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Published ports as Docker's users know them: `8080->80/tcp`, `192.0.2.1:53->53/udp`. */
export function portsText(ports: readonly PortRequest[] = []): string {
  return ports
    .map(({ protocol, hostAddress, hostPort, port }) => {
      const host = hostAddress?.includes(':') ? `[${hostAddress}]` : hostAddress;
      return `${host === undefined ? '' : `${host}:`}${hostPort}->${port}/${protocol}`;
    })
    .join(', ');
}

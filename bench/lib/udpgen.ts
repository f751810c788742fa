/** Drives `native/udpgen`, the bench's own UDP generator and receiver. */
import { join } from 'node:path';
import { packageRoot } from '../../src/base/package-root.ts';
import type { LabNamespace } from './lab.ts';
import type { Ends } from './topology.ts';

const UDPGEN = join(packageRoot, 'native/build/Release/udpgen');
const PORT = 5999;
/** Time for starting, for the receiver's quiet period and for draining queues. */
const GRACE_SECONDS = 10;
const UDP_IP_HEADERS = 28;

export interface FloodOptions {
  /** Payload wanted; cut to what one packet of the path's MTU holds. */
  readonly bytes: number;
  readonly seconds: number;
  /** Datagrams a second; 0: as fast as the path takes them. */
  readonly rate?: number;
  readonly flows?: number;
}

export interface FloodReport {
  /** Payload used. */
  readonly bytes: number;
  readonly sent: number;
  readonly received: number;
  readonly offeredPerSecond: number;
  readonly receivedPerSecond: number;
  readonly lossPercent: number;
  readonly reordered: number;
}

export interface SendReport {
  readonly sent: number;
  readonly seconds: number;
}

export interface ReceiveReport {
  readonly received: number;
  readonly seconds: number;
  readonly reordered: number;
}

/** Puts the two ends' reports together; the received rate is over the time in which datagrams came in. */
export function floodReport(bytes: number, sent: SendReport, got: ReceiveReport): FloodReport {
  return {
    bytes,
    sent: sent.sent,
    received: got.received,
    offeredPerSecond: sent.sent / sent.seconds,
    receivedPerSecond: got.seconds > 0 ? got.received / got.seconds : 0,
    lossPercent: sent.sent === 0 ? 0 : (100 * Math.max(0, sent.sent - got.received)) / sent.sent,
    reordered: got.reordered,
  };
}

/** Sends datagrams from client to server and counts them at both ends; rejects if none arrived. */
export async function flood(ends: Ends, options: FloodOptions): Promise<FloodReport> {
  const bytes = Math.min(options.bytes, ends.mtu - UDP_IP_HEADERS);
  const { seconds, rate = 0, flows = 1 } = options;
  const longest = seconds + GRACE_SECONDS;
  const receiver = ends.server.start(UDPGEN, ['receive', String(PORT), String(longest)]);
  try {
    await receiver.waitForLine(/"ready":true/);
    const load = [PORT, bytes, seconds, rate, flows].map(String);
    const sent = await ends.client.run(UDPGEN, ['send', ends.serverAddress, ...load], {
      timeoutMs: longest * 1000,
    });
    const [got] = await receiver.waitForLine(/^.*"received".*$/, longest * 1000);
    const report = floodReport(
      bytes,
      JSON.parse(sent) as SendReport,
      JSON.parse(got) as ReceiveReport,
    );
    if (report.received === 0) throw new Error(`none of ${report.sent} datagrams arrived`);
    return report;
  } finally {
    await receiver.stop();
  }
}

/** Sends the same datagram to a port again and again, at `rate` a second; rejects if it could not. */
export async function repeatDatagram(
  from: LabNamespace,
  to: { readonly address: string; readonly port: number },
  datagram: Uint8Array,
  { seconds, rate }: { readonly seconds: number; readonly rate: number },
): Promise<SendReport> {
  const words = [to.address, to.port, Buffer.from(datagram).toString('hex'), seconds, rate];
  const sent = await from.run(UDPGEN, ['repeat', ...words.map(String)], {
    timeoutMs: (seconds + GRACE_SECONDS) * 1000,
  });
  return JSON.parse(sent) as SendReport;
}

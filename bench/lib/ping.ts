export interface PingOptions {
  /** Default 3. */
  readonly count?: number;
  /** ICMP payload bytes. Default 56. */
  readonly bytes?: number;
  /** Default 0.05 s. */
  readonly intervalSeconds?: number;
  /** How long to wait for the last answer. Default 2 s. */
  readonly waitSeconds?: number;
  /** Sets DF, so that a packet over the MTU fails instead of being cut up. */
  readonly isUnfragmented?: boolean;
  /** To ping a broadcast address. */
  readonly isBroadcast?: boolean;
}

export interface PingReport {
  readonly sent: number;
  /** Answers, duplicates not counted. */
  readonly received: number;
  readonly duplicates: number;
  readonly lossPercent: number;
  /** One for each answer, in the order of arrival, in milliseconds. */
  readonly roundTripsMs: readonly number[];
  /** Who answered, in the order of arrival. */
  readonly answeredBy: readonly string[];
  readonly output: string;
}

/** Arguments of iputils' ping. */
export function pingArguments(target: string, options: PingOptions = {}): string[] {
  return [
    ...['-n', '-c', String(options.count ?? 3), '-i', String(options.intervalSeconds ?? 0.05)],
    ...['-s', String(options.bytes ?? 56), '-W', String(options.waitSeconds ?? 2)],
    ...(options.isUnfragmented ? ['-M', 'do'] : []),
    ...(options.isBroadcast ? ['-b'] : []),
    target,
  ];
}

/** Reads what iputils' ping printed; throws if there is no summary. */
export function parsePing(output: string): PingReport {
  const summary = /^(\d+) packets transmitted, (\d+) received/m.exec(output);
  if (summary === null) throw new Error(`ping printed no summary:\n${output}`);
  const answers = [...output.matchAll(/ bytes from ([^\s]+): .*?time=([\d.]+) ms/g)];
  const [sent, received] = [Number(summary[1]), Number(summary[2])];
  return {
    sent,
    received,
    duplicates: Number(/\+(\d+) duplicates/.exec(output)?.[1] ?? 0),
    lossPercent: sent === 0 ? 0 : (100 * (sent - received)) / sent,
    roundTripsMs: answers.map((answer) => Number(answer[2])),
    answeredBy: answers.map((answer) => answer[1] ?? ''),
    output,
  };
}

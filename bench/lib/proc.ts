/**
 * Readers of /proc: CPU time of the machine and of processes, resident memory. The parsers take text,
 * so that they can be tested without a kernel.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** USER_HZ: the kernel reports CPU time to user space in hundredths of a second on every Linux port Node runs on. */
const TICKS_PER_SECOND = 100;
const KIB = 1024;

/** CPU seconds since boot, all processors together. */
export interface MachineCpu {
  readonly busy: number;
  /** Taken by the hypervisor while we wanted to run. */
  readonly stolen: number;
}

/** CPU seconds of one process with all its threads. */
export interface ProcessCpu {
  readonly pid: number;
  readonly parent: number;
  readonly own: number;
  /** Of children that have ended and were waited for. */
  readonly children: number;
}

/** The first line of /proc/stat: user nice system idle iowait irq softirq steal … (guest time is in user). */
export function parseMachineCpu(stat: string): MachineCpu {
  const fields = (/^cpu +(.*)$/m.exec(stat)?.[1] ?? '').split(' ').map(Number);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields;
  return {
    busy: (user + nice + system + irq + softirq) / TICKS_PER_SECOND,
    stolen: steal / TICKS_PER_SECOND,
  };
}

/**
 * /proc/PID/stat (proc(5)). The second field is the program's name in parentheses and may itself
 * contain spaces and parentheses, so fields are counted from the last one.
 */
export function parseProcessCpu(stat: string): ProcessCpu {
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15);
  return {
    pid: Number.parseInt(stat, 10),
    parent: fields[1] ?? 0,
    own: (utime + stime) / TICKS_PER_SECOND,
    children: (cutime + cstime) / TICKS_PER_SECOND,
  };
}

/** Bytes of one memory field of /proc/PID/status; 0 for a kernel thread or a zombie, which have none. */
export function parseMemory(status: string, field: 'VmRSS' | 'VmHWM'): number {
  const kib = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1];
  return kib === undefined ? 0 : Number(kib) * KIB;
}

export function readMachineCpu(): MachineCpu {
  return parseMachineCpu(readFileSync('/proc/stat', 'utf8'));
}

/** undefined if there is no such process (any more). */
export function readProcessCpu(pid: number): ProcessCpu | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  return stat === undefined ? undefined : parseProcessCpu(stat);
}

/** Resident memory now; 0 if there is no such process (any more). */
export function readResidentBytes(pid: number): number {
  return parseMemory(readIfThere(`/proc/${pid}/status`) ?? '', 'VmRSS');
}

/** The most that was ever resident; 0 if there is no such process (any more). */
export function readPeakBytes(pid: number): number {
  return parseMemory(readIfThere(`/proc/${pid}/status`) ?? '', 'VmHWM');
}

/**
 * CPU seconds of the process's living threads, from the scheduler's nanosecond counters: fine enough
 * for an idle daemon, of which the hundredths in /proc/PID/stat see nothing.
 */
export function readRunSeconds(pid: number): number {
  const directory = `/proc/${pid}/task`;
  const threads = existsSync(directory) ? readdirSync(directory) : [];
  return threads.reduce((sum, thread) => {
    const nanoseconds = readIfThere(`${directory}/${thread}/schedstat`)?.split(' ')[0] ?? '0';
    return sum + Number(nanoseconds) / 1e9;
  }, 0);
}

export function readAllProcesses(): ProcessCpu[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcessCpu(Number(name)) ?? []);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // A process may end between its listing and this read.
    return undefined;
  }
}

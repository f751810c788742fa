import { getSystemErrorMap } from 'node:util';
import { AppError, type ErrorCode } from '../base/errors.ts';
import type { NativeFailure } from './addon.ts';

export type DeviceKind = 'TAP' | 'TUN';

/** What a refused `open` was about. */
export interface OpenSubject {
  readonly kind: DeviceKind;
  readonly name: string;
  /** '' for the process's own namespace. */
  readonly netns: string;
}

/** `EPERM` of -1. */
function errnoName(errno: number): string {
  return getSystemErrorMap().get(errno)?.[0] ?? `errno ${-errno}`;
}

/** The error for an `open` that the kernel refused; nothing of the device is left. */
export function openError({ step, errno }: NativeFailure, subject: OpenSubject): AppError {
  const error = errnoName(errno);
  const [code, sentence] =
    permissionSentence(error, subject) ??
    SENTENCES[step]?.(error, subject) ??
    otherSentence(step, error, subject);
  return new AppError(code, sentence);
}

type Sentence = readonly [code: ErrorCode, sentence: string];

function permissionSentence(error: string, { kind, name }: OpenSubject): Sentence | undefined {
  if (error !== 'EPERM' && error !== 'EACCES') return undefined;
  return [
    'E_PERMISSION',
    `Opening the ${kind} device "${name}" is not permitted (${error}); ` +
      'run Weft as root, or with CAP_NET_ADMIN (CAP_SYS_ADMIN too for another namespace) and access to /dev/net/tun.',
  ];
}

/** The refusals that have a cause a person can act on, by step; each may leave an errno to the general sentence. */
const SENTENCES: Readonly<
  Partial<
    Record<NativeFailure['step'], (error: string, subject: OpenSubject) => Sentence | undefined>
  >
> = {
  netns: netnsSentence,
  clone: cloneSentence,
  attach: attachSentence,
  'vnet-header': headerSentence,
  offloads: headerSentence,
};

function netnsSentence(error: string, { kind, name, netns }: OpenSubject): Sentence | undefined {
  if (!['ENOENT', 'ENOTDIR', 'EINVAL', 'ENXIO', 'ENODEV'].includes(error)) return undefined;
  return [
    'E_SANDBOX_MISSING',
    `The ${kind} device "${name}" can't be opened in "${netns}", which is no network namespace (${error}); ` +
      'give the path of one, such as /run/netns/NAME or /proc/PID/ns/net.',
  ];
}

function cloneSentence(error: string): Sentence | undefined {
  if (!['ENOENT', 'ENODEV', 'ENXIO', 'ENOTDIR'].includes(error)) return undefined;
  return [
    'E_PLATFORM',
    `/dev/net/tun is missing (${error}); ` +
      'load the kernel module "tun" (modprobe tun) or give the container that device.',
  ];
}

function attachSentence(error: string, { kind, name }: OpenSubject): Sentence | undefined {
  switch (error) {
    case 'EBUSY':
      return [
        'E_DEVICE_BUSY',
        `The ${kind} device "${name}" is in use by another process or handle; ` +
          'stop that one, or choose another name.',
      ];
    case 'EEXIST':
      return [
        'E_IFNAME_TAKEN',
        `"${name}" is the name of an interface that is no ${kind} device with as many queues; ` +
          `choose another name, or remove it with "ip link del ${name}".`,
      ];
    case 'ENODEV':
      return ['E_DEVICE_MISSING', `There is no ${kind} device "${name}"; see "ip link".`];
    case 'EINVAL':
      return ['E_IFNAME_INVALID', `The kernel does not take "${name}" as a name; choose another.`];
    default:
      return undefined;
  }
}

function headerSentence(error: string, { kind, name }: OpenSubject): Sentence | undefined {
  if (error !== 'EINVAL') return undefined;
  return [
    'E_PLATFORM',
    `This kernel does not know all the offloads asked of the ${kind} device "${name}"; ` +
      'leave out "uso4" and "uso6", which need Linux 6.2.',
  ];
}

function otherSentence(step: string, error: string, { kind, name }: OpenSubject): Sentence {
  return [
    'E_DEVICE',
    `The kernel refused to open the ${kind} device "${name}" at the step "${step}" (${error}); ` +
      'see "dmesg" for its reason.',
  ];
}

/** The error for an `act` ("set the MTU to 9000") on an open device that the kernel refused. */
export function actError(name: string, act: string, errno: number): AppError {
  const error = errnoName(errno);
  switch (error) {
    case 'EPERM':
    case 'EACCES':
      return new AppError(
        'E_PERMISSION',
        `To ${act} of device "${name}" is not permitted (${error}); run Weft as root or with CAP_NET_ADMIN.`,
      );
    case 'ENODEV':
      return new AppError(
        'E_DEVICE_MISSING',
        `The device "${name}" is gone: it was deleted or moved to another namespace; open it again.`,
      );
    case 'EBADF':
      return new AppError(
        'E_DEVICE_MISSING',
        `The device "${name}" has been closed; open it again.`,
      );
    default:
      return new AppError(
        'E_DEVICE',
        `The kernel refused to ${act} of device "${name}" (${error}); see "ip link show ${name}".`,
      );
  }
}

import { request as httpRequest, type IncomingMessage } from 'node:http';
import { MAX_SOCKET_PATH_BYTES } from '../base/defaults.ts';
import { AppError, errnoOf } from '../base/errors.ts';
import { answered, readText } from '../base/http-body.ts';
import type {
  AttachRequest,
  Control,
  DetachRequest,
  EndpointScope,
  EventsRequest,
  ExposeRequest,
  ForgetRequest,
  NameRemoval,
  NameRequest,
  NetworkRequest,
  PortRequest,
  RenameRequest,
  TokenRequest,
} from './control.ts';
import { toError } from './failure.ts';
import {
  fillPath,
  ROUTES,
  type Answer,
  type AnswerShape,
  type Input,
  type RouteName,
} from './routes.ts';

/** Longer than the slowest call (a join that waits for each of several silent hosts). */
const DEFAULT_TIMEOUT_MS = 60_000;

/** No answer of a daemon is longer; a stranger's may be endless. */
const MAX_ANSWER_BYTES = 64 * 2 ** 20;

export interface ClientOptions {
  readonly socket: string;
  /** Silence on the connection, in milliseconds, after which a call gives up. Default 60 000. */
  readonly timeoutMs?: number;
}

interface RawAnswer {
  readonly status: number;
  readonly text: string;
}

function hasKeys(value: unknown, keys: readonly string[]): boolean {
  return typeof value === 'object' && value !== null && keys.every((key) => key in value);
}

function hasShape(value: unknown, shape: AnswerShape): boolean {
  if (shape === 'none') return value === undefined;
  if ('object' in shape) return hasKeys(value, shape.object);
  return Array.isArray(value) && value.every((item) => hasKeys(item, shape.list));
}

function parseJson(text: string): unknown {
  try {
    return text === '' ? undefined : (JSON.parse(text) as unknown);
  } catch {
    return undefined;
  }
}

/** `Control` over a daemon's unix socket: one connection a call. Rejects with the daemon's own errors. */
class HttpControl implements Control {
  readonly #socket: string;
  readonly #timeoutMs: number;

  constructor({ socket, timeoutMs = DEFAULT_TIMEOUT_MS }: ClientOptions) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
  }

  status = () => this.#call('status', {});
  peers = () => this.#call('peers', {});
  join = (targets: readonly string[]) => this.#call('join', { targets });
  joinByToken = (target: string, token: string) => this.#call('joinByToken', { target, token });
  createToken = (request: TokenRequest) => this.#call('createToken', request);
  listTokens = () => this.#call('listTokens', {});
  revokeToken = (id: string) => this.#call('revokeToken', { id });
  listKeys = () => this.#call('listKeys', {});
  rotateKeys = () => this.#call('rotateKeys', {});
  retireKeys = (id?: string) => this.#call('retireKeys', id === undefined ? {} : { id });
  listExpelled = () => this.#call('listExpelled', {});
  expel = (host: string) => this.#call('expel', { host });
  takeBack = (host: string) => this.#call('takeBack', { host });
  leave = () => this.#call('leave', {});
  createNetwork = (request: NetworkRequest) => this.#call('createNetwork', request);
  listNetworks = () => this.#call('listNetworks', {});
  inspectNetwork = (name: string) => this.#call('inspectNetwork', { name });
  removeNetwork = (name: string) => this.#call('removeNetwork', { name });
  endpoints = (scope: EndpointScope) => this.#call('endpoints', { scope });
  attach = (request: AttachRequest) => this.#call('attach', request);
  detach = (request: DetachRequest) => this.#call('detach', request);
  expose = (request: ExposeRequest) => this.#call('expose', request);
  hide = (network: string) => this.#call('hide', { network });
  publish = (endpoint: string, ports: readonly PortRequest[]) =>
    this.#call('publish', { endpoint, ports });
  unpublish = (endpoint: string, ports?: readonly PortRequest[]) =>
    this.#call('unpublish', { endpoint, ...(ports === undefined ? {} : { ports }) });
  rename = (request: RenameRequest) => this.#call('rename', request);
  forget = (request: ForgetRequest) => this.#call('forget', request);
  ipamStatus = () => this.#call('ipamStatus', {});
  ipamAudit = () => this.#call('ipamAudit', {});
  ipamPlan = () => this.#call('ipamPlan', {});
  ipamRepair = (plan: string) => this.#call('ipamRepair', { plan });
  addName = (request: NameRequest) => this.#call('addName', request);
  removeName = (request: NameRemoval) => this.#call('removeName', request);
  listNames = () => this.#call('listNames', {});
  addVtep = (network: string, address: string) => this.#call('addVtep', { network, address });
  removeVtep = (network: string, address: string) => this.#call('removeVtep', { network, address });
  listVteps = (network: string) => this.#call('listVteps', { network });
  fdb = (network: string) => this.#call('fdb', { network });
  links = (host?: string) => this.#call('links', host === undefined ? {} : { host });
  events = (request: EventsRequest) => this.#call('events', request);
  metrics = () => this.#call('metrics', {});
  version = () => this.#call('version', {});

  async #call<Name extends RouteName>(name: Name, input: Input<Name>): Promise<Answer<Name>> {
    const { method, path, answer: shape } = ROUTES[name];
    const filled = fillPath(path, { ...input });
    const body = method === 'POST' ? JSON.stringify(filled.rest) : undefined;
    const { status, text } = await this.#send(method, filled.path, body);
    const answer = parseJson(text);
    if (status >= 200 && status < 300 && hasShape(answer, shape)) return answer as Answer<Name>;
    throw (
      toError(status >= 400 ? answer : undefined) ??
      this.#stranger(`${method} ${filled.path}`, status)
    );
  }

  async #send(method: string, path: string, body: string | undefined): Promise<RawAnswer> {
    if (Buffer.byteLength(this.#socket) > MAX_SOCKET_PATH_BYTES) throw this.#unreachable(undefined);
    try {
      const message = await this.#request(method, path, body);
      const text = await readText(
        message,
        MAX_ANSWER_BYTES,
        () => new Error(`answer over ${MAX_ANSWER_BYTES} bytes`),
      );
      return { status: message.statusCode ?? 0, text };
    } catch (cause) {
      throw this.#unreachable(cause);
    }
  }

  #request(method: string, path: string, body: string | undefined): Promise<IncomingMessage> {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const options = { socketPath: this.#socket, agent: false, method, path, headers };
    const request = httpRequest({ ...options, timeout: this.#timeoutMs });
    request.on('timeout', () => {
      request.destroy(Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' }));
    });
    request.end(body);
    return answered(request);
  }

  #unreachable(cause: unknown): AppError {
    return new AppError('E_DAEMON_UNREACHABLE', this.#unreachableSentence(errnoOf(cause)), {
      cause,
    });
  }

  #unreachableSentence(errno: string | undefined): string {
    switch (errno) {
      case 'ENOENT':
      case 'ECONNREFUSED':
      case 'ENOTSOCK':
      case 'ENOTDIR':
        return `No daemon answers at ${this.#socket}; start one with "weft up", or name its socket with --socket or WEFT_SOCKET.`;
      case 'EACCES':
        return `The daemon's socket ${this.#socket} may not be opened by this user; run the command as root (sudo).`;
      case 'ETIMEDOUT':
        return `The daemon at ${this.#socket} said nothing for ${this.#timeoutMs / 1000} seconds; its log may tell why.`;
      case undefined:
        return `The socket path ${this.#socket} can't be a daemon's or its answer was cut off; check --socket and WEFT_SOCKET.`;
      default:
        return `The daemon at ${this.#socket} ended the connection before it answered (${errno}); its log may tell why.`;
    }
  }

  #stranger(what: string, status: number): AppError {
    return new AppError(
      'E_INTERNAL',
      `What answers at ${this.#socket} answered ${what} with status ${status} and not as a Weft daemon does; check --socket and both versions.`,
    );
  }
}

/** A `Control` that asks the daemon at `socket`; nothing is opened until a method is called. */
export function createClient(options: ClientOptions): Control {
  return new HttpControl(options);
}

import { request } from 'node:http';
import { AppError, errnoOf } from '../base/errors.ts';
import { answered, readText } from '../base/http-body.ts';
import { UsageError } from './context.ts';

/** Where dockerd listens if nobody says otherwise. */
const DEFAULT_SOCKET = '/var/run/docker.sock';
const TIMEOUT_MS = 10_000;
/** A container's description is some 10 kB; with thousands of labels more. */
const MAX_ANSWER_BYTES = 16 * 2 ** 20;

/** The parts of an engine's answer to `GET /containers/NAME/json` that matter here. */
interface Described {
  readonly message?: string;
  readonly State?: { readonly Status?: string; readonly Running?: boolean; readonly Pid?: number };
  readonly HostConfig?: { readonly NetworkMode?: string };
}

/**
 * The process id of a running container of Docker's on this host, by its name or id. Asked is the engine at
 * DOCKER_HOST, which must be a unix socket, else at the usual one. Rejects with E_ENGINE_UNREACHABLE,
 * E_SANDBOX_MISSING (there is none, or it does not run), E_USAGE.
 */
export async function findContainer(
  name: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const socket = socketOf(env['DOCKER_HOST']);
  const { status, body } = await describe(socket, name);
  if (status === 404) {
    throw missing(`Docker knows no container ${name}; "docker ps" lists those that run.`);
  }
  if (status !== 200) throw unreachable(socket, body.message ?? `it answers with status ${status}`);
  const { State: state, HostConfig: host } = body;
  if (state?.Running !== true || !state.Pid) {
    throw missing(
      `Container ${name} does not run (it is ${state?.Status ?? 'unknown'}); start it first.`,
    );
  }
  if (host?.NetworkMode !== 'host') return state.Pid;
  throw new UsageError(
    'E_USAGE',
    `Container ${name} has the host's own network and no sandbox; start it without --network host.`,
  );
}

const missing = (sentence: string): AppError => new AppError('E_SANDBOX_MISSING', sentence);

const unreachable = (socket: string, why: string): AppError =>
  new AppError(
    'E_ENGINE_UNREACHABLE',
    `Docker's engine at ${socket} can't be asked (${why.replace(/\.$/, '')}); see that it runs, or name its socket with DOCKER_HOST=unix:///PATH.`,
  );

function socketOf(dockerHost: string | undefined): string {
  if (dockerHost === undefined || dockerHost === '') return DEFAULT_SOCKET;
  const path = /^unix:\/\/(\/.+)$/.exec(dockerHost)?.[1];
  if (path !== undefined) return path;
  throw new UsageError(
    'E_USAGE',
    `DOCKER_HOST is "${dockerHost}"; only a container of this very host can be attached, so it must be unix:///PATH.`,
  );
}

async function describe(
  socketPath: string,
  name: string,
): Promise<{ readonly status: number; readonly body: Described }> {
  const asked = request({
    ...{ socketPath, method: 'GET', path: `/containers/${encodeURIComponent(name)}/json` },
    ...{ headers: { host: 'docker' }, timeout: TIMEOUT_MS },
  });
  asked.on('timeout', () => asked.destroy(new Error('it does not answer')));
  asked.end();
  try {
    const answer = await answered(asked);
    const tooLong = (): Error => new Error('its answer has no end');
    const text = await readText(answer, MAX_ANSWER_BYTES, tooLong);
    return { status: answer.statusCode ?? 0, body: parse(text) };
  } catch (error) {
    throw unreachable(socketPath, errnoOf(error) ?? (error as Error).message);
  }
}

function parse(text: string): Described {
  try {
    return (JSON.parse(text) as Described | null) ?? {};
  } catch {
    throw new Error('its answer is no JSON');
  }
}

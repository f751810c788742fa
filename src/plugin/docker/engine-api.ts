import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import { z } from 'zod';
import { answered, readText } from '../../base/http-body.ts';
import { asMillis, type Millis } from '../../base/types.ts';

/** What the engine knows of a container and a driver is not told. */
export interface Container {
  /** Of its first process; 0 while it does not run. */
  readonly pid: number;
  /** Whoever runs it wants it to forward, or lets it decide: by --sysctl or --privileged. */
  readonly mayForward: boolean;
  readonly name: string;
  readonly hostname: string;
  readonly endpoints: readonly ContainerEndpoint[];
}

export interface ContainerEndpoint {
  /** Docker's id of the endpoint; never empty. */
  readonly id: string;
  /** `--network-alias`, what the engine adds to it, and the Swarm's service whose task it is. */
  readonly aliases: readonly string[];
}

/** A stream of what happens to containers. */
export interface Watch {
  /** Settles when the stream ends, whatever the reason; never rejects. */
  readonly ended: Promise<void>;
  stop(): void;
}

/** What Weft asks of a container engine. Every method rejects with an Error if the engine does not answer. */
export interface EngineApi {
  /** Ids of the containers that run. */
  running(): Promise<readonly string[]>;
  /** Undefined if there is no such container any more. */
  inspect(id: string): Promise<Container | undefined>;
  /** Calls `changed` with the id of a container that started, was renamed, or came to a network. */
  watch(changed: (id: string) => void): Promise<Watch>;
  /** Cuts off whatever is being asked. */
  close(): void;
}

/** A start that takes long keeps the engine from answering for that container. */
const ANSWER_WITHIN = asMillis(30_000);
/** Ten thousand containers are some 20 MB. */
const BODY_LIMIT_BYTES = 64 * 1024 * 1024;
const LINE_LIMIT_BYTES = 1024 * 1024;
const PARALLEL = 16;

const FILTERS = JSON.stringify({
  type: ['container', 'network'],
  event: ['start', 'rename', 'connect'],
});

const SERVICE_LABEL = 'com.docker.swarm.service.name';
const FORWARDING = /^net\.ipv4\.(?:ip_forward|conf\..+\.forwarding)$/;

const listSchema = z.array(z.object({ Id: z.string() }));
const names = z
  .array(z.string())
  .nullish()
  .transform((value) => value ?? []);
const containerSchema = z.object({
  Name: z.string(),
  State: z.object({ Pid: z.number().int().min(0) }),
  HostConfig: z.object({
    Privileged: z.boolean().default(false),
    Sysctls: z
      .record(z.string(), z.string())
      .nullish()
      .transform((value) => value ?? {}),
  }),
  Config: z.object({
    Hostname: z.string().default(''),
    Labels: z
      .record(z.string(), z.string())
      .nullish()
      .transform((value) => value ?? {}),
  }),
  NetworkSettings: z.object({
    Networks: z
      .record(
        z.string(),
        // Docker 25 tells aliases and its own names apart.
        z.object({ EndpointID: z.string().default(''), Aliases: names, DNSNames: names }),
      )
      .nullish()
      .transform((value) => value ?? {}),
  }),
});
const eventSchema = z.object({
  Type: z.string(),
  Actor: z.object({
    ID: z.string(),
    Attributes: z
      .record(z.string(), z.string())
      .nullish()
      .transform((value) => value ?? {}),
  }),
});

/** The engine's API on its unix socket, without a version: what is asked for here every version has. */
export class UnixEngineApi implements EngineApi {
  readonly #socketPath: string;
  readonly #answerWithin: Millis;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: PARALLEL });

  constructor(socketPath: string, answerWithin = ANSWER_WITHIN) {
    this.#socketPath = socketPath;
    this.#answerWithin = answerWithin;
  }

  async running(): Promise<readonly string[]> {
    const answer = await this.#get('/containers/json');
    return listSchema.parse(answer).map(({ Id }) => Id);
  }

  async inspect(id: string): Promise<Container | undefined> {
    const answer = await this.#get(`/containers/${encodeURIComponent(id)}/json`);
    if (answer === undefined) return undefined;
    const { Name, State, HostConfig, Config, NetworkSettings } = containerSchema.parse(answer);
    const { Privileged, Sysctls } = HostConfig;
    const { [SERVICE_LABEL]: service } = Config.Labels;
    const services = service === undefined ? [] : [service];
    return {
      pid: State.Pid,
      mayForward: Privileged || Object.keys(Sysctls).some((key) => FORWARDING.test(key)),
      ...{ name: Name.replace(/^\//, ''), hostname: Config.Hostname },
      endpoints: Object.values(NetworkSettings.Networks)
        .filter(({ EndpointID }) => EndpointID !== '')
        .map(({ EndpointID, Aliases, DNSNames }) => ({
          ...{ id: EndpointID, aliases: [...Aliases, ...DNSNames, ...services] },
        })),
    };
  }

  async watch(changed: (id: string) => void): Promise<Watch> {
    const sent = this.#send(`/events?filters=${encodeURIComponent(FILTERS)}`, false);
    const response = await answered(sent);
    checkStatus(response);
    response.setTimeout(0);
    return {
      ended: readLines(response, (line) => read(line, changed)),
      stop: () => sent.destroy(),
    };
  }

  close(): void {
    this.#agent.destroy();
  }

  /** What JSON the engine answers; undefined for 404. */
  async #get(path: string): Promise<unknown> {
    const response = await answered(this.#send(path, this.#agent));
    const text = await readText(response, BODY_LIMIT_BYTES, () =>
      failed(`an answer of more than ${BODY_LIMIT_BYTES} bytes`),
    );
    if (response.statusCode === 404) return undefined;
    checkStatus(response);
    return JSON.parse(text) as unknown;
  }

  #send(path: string, agent: Agent | false): ClientRequest {
    const sent = request({
      ...{ socketPath: this.#socketPath, path, agent, timeout: this.#answerWithin },
      headers: { host: 'docker' },
    });
    sent.on('timeout', () => sent.destroy(failed(`no answer within ${this.#answerWithin} ms`)));
    sent.end();
    return sent;
  }
}

function checkStatus({ statusCode = 0 }: IncomingMessage): void {
  if (statusCode !== 200) throw failed(`HTTP status ${statusCode}`);
}

function failed(what: string): Error {
  return new Error(`The container engine's API gave ${what}.`);
}

/** Calls `read` with each line; settles when the stream ends, or is ended since `read` or a line is no good. */
async function readLines(stream: IncomingMessage, read: (line: string) => void): Promise<void> {
  let rest = '';
  try {
    for await (const chunk of stream.setEncoding('utf8') as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > LINE_LIMIT_BYTES) return;
      for (const line of lines) if (line.trim() !== '') read(line);
    }
  } catch {
    // Cut off, or no event: either way the next watch begins with a look at everything.
  } finally {
    stream.destroy();
  }
}

function read(line: string, changed: (id: string) => void): void {
  const { Type, Actor } = eventSchema.parse(JSON.parse(line));
  const id = Type === 'network' ? Actor.Attributes['container'] : Actor.ID;
  if (id !== undefined && id !== '') changed(id);
}

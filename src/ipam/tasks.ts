import { isAppError, type AppError } from '../base/errors.ts';
import type { PeerId } from '../base/types.ts';
import type { Reply, Request } from './message.ts';

/** What a task waits for; each `yield` gives the replies that came, none for the other kinds. */
export type Wait =
  | {
      readonly kind: 'ask';
      readonly requests: readonly { readonly to: PeerId; readonly request: Request }[];
      /** Whether the replies so far suffice; asked after each. */
      readonly enough: (replies: Replies) => boolean;
    }
  /** Until the pool has another value, or the time is over. */
  | { readonly kind: 'change'; readonly pool: string; readonly ms: number }
  | { readonly kind: 'pause'; readonly ms: number };

/** Of those that answered: a host that did not is not in it. */
export type Replies = ReadonlyMap<PeerId, Reply>;

/** A course of action in several rounds. Pure but for what it does between its waits. */
export type Task<R> = Generator<Wait, R, Replies>;

/** How tasks reach the world: every call is answered by `answered`, every timer by `expired`. */
export interface TaskPort {
  /** This host's own reply to itself. */
  askSelf(request: Request): Reply;
  call(call: number, to: PeerId, request: Request): void;
  timer(wake: number, ms: number): void;
}

interface Running {
  readonly task: Task<unknown>;
  readonly done: (result: unknown) => void;
  wake: number;
  pool: string | undefined;
  enough: (replies: Replies) => boolean;
  replies: Map<PeerId, Reply>;
  outstanding: number;
}

const NO_REPLIES: Replies = new Map();

/** Ends a task that the disk has stopped with what `instead` makes of the error. */
export function* guarded<R>(task: Task<R>, instead: (error: AppError) => R): Task<R> {
  try {
    return yield* task;
  } catch (error) {
    if (!isAppError(error)) throw error;
    return instead(error);
  }
}

/** Runs tasks side by side; each goes on when what it waits for has come. */
export class Tasks {
  readonly #self: PeerId;
  readonly #port: TaskPort;
  /** By the number of their present wait. */
  readonly #running = new Map<number, Running>();
  readonly #calls = new Map<number, { readonly wake: number; readonly to: PeerId }>();
  #numbers = 0;

  constructor(self: PeerId, port: TaskPort) {
    this.#self = self;
    this.#port = port;
  }

  get size(): number {
    return this.#running.size;
  }

  start<R>(task: Task<R>, done: (result: R) => void): void {
    const running: Running = {
      ...{ task, done: done as (result: unknown) => void, wake: 0, pool: undefined },
      ...{ enough: () => true, replies: new Map(), outstanding: 0 },
    };
    this.#resume(running, NO_REPLIES);
  }

  /** The reply to a call, or undefined if none came in time. */
  answered(call: number, reply: Reply | undefined): void {
    const origin = this.#calls.get(call);
    this.#calls.delete(call);
    const running = origin && this.#running.get(origin.wake);
    if (origin === undefined || running === undefined) return;
    running.outstanding--;
    if (reply !== undefined) running.replies.set(origin.to, reply);
    if (running.outstanding === 0 || running.enough(running.replies)) {
      this.#resume(running, running.replies);
    }
  }

  expired(wake: number): void {
    const running = this.#running.get(wake);
    if (running !== undefined) this.#resume(running, NO_REPLIES);
  }

  /** The value of a pool has changed. */
  changed(pool: string): void {
    for (const running of [...this.#running.values()]) {
      if (running.pool === pool && this.#running.has(running.wake))
        this.#resume(running, NO_REPLIES);
    }
  }

  #resume(running: Running, replies: Replies): void {
    this.#running.delete(running.wake);
    let input: Replies | undefined = replies;
    while (input !== undefined) {
      const { done, value } = running.task.next(input);
      if (done === true) {
        running.done(value);
        return;
      }
      input = this.#wait(running, value);
    }
  }

  /** Begins a wait; the replies if nothing is to be waited for. */
  #wait(running: Running, wait: Wait): Replies | undefined {
    running.wake = ++this.#numbers;
    running.pool = wait.kind === 'change' ? wait.pool : undefined;
    if (wait.kind !== 'ask') {
      this.#running.set(running.wake, running);
      this.#port.timer(running.wake, wait.ms);
      return undefined;
    }
    running.replies = new Map();
    running.enough = wait.enough;
    for (const { to, request } of wait.requests) {
      if (to === this.#self) running.replies.set(to, this.#port.askSelf(request));
    }
    const others = wait.requests.filter(({ to }) => to !== this.#self);
    const { wake } = running;
    const isEnough = others.length === 0 || wait.enough(running.replies);
    running.outstanding = others.length;
    if (!isEnough) this.#running.set(wake, running);
    for (const { to, request } of others) {
      const call = ++this.#numbers;
      this.#calls.set(call, { wake, to });
      this.#port.call(call, to, request);
    }
    return isEnough ? running.replies : undefined;
  }
}

import { z } from 'zod';
import { CniError, CODE } from './error.ts';
import { COMMANDS, type Command } from './version.ts';

const CONTAINER_ID = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
/** Longer than any runtime's, short enough for a row of the endpoint table. */
const MAX_CONTAINER_ID = 128;
const MAX_PATH = 4096;

/** What the CNI program hands on (native/cni/message.h): its own name, its environment, its input. */
const handedOn = z.object({
  plugin: z.string().max(256),
  env: z.object({
    CNI_COMMAND: z.string(),
    CNI_CONTAINERID: z.string(),
    CNI_NETNS: z.string(),
    CNI_IFNAME: z.string(),
    CNI_ARGS: z.string(),
    CNI_PATH: z.string(),
  }),
  stdin: z.string(),
});

/** A call whose environment makes sense. Where the command needs none of them, fields are empty. */
export interface Call {
  readonly command: Command;
  /** The name under which the program was called: the `type` of configs that mean it. */
  readonly plugin: string;
  readonly containerId: string;
  /** Empty for a DEL after the sandbox is gone. */
  readonly netns: string;
  readonly ifname: string;
  readonly args: ReadonlyMap<string, string>;
  readonly stdin: string;
}

const invalid = (sentence: string): CniError => new CniError(CODE.invalidEnvironment, sentence);

/** `IgnoreUnknown=1;K8S_POD_NAME=web-0`; keys that mean nothing to Weft are no error, nor is their form. */
export function readArgs(text: string): ReadonlyMap<string, string> {
  const pairs = text.split(';').flatMap((pair): [string, string][] => {
    const at = pair.indexOf('=');
    return at < 1 ? [] : [[pair.slice(0, at), pair.slice(at + 1)]];
  });
  return new Map(pairs);
}

function checkContainerId(id: string, command: Command): void {
  if (id.length <= MAX_CONTAINER_ID && CONTAINER_ID.test(id)) return;
  throw invalid(
    id === ''
      ? `CNI_CONTAINERID is not set, which ${command} needs.`
      : `CNI_CONTAINERID is ${JSON.stringify(id.slice(0, 200))}; it begins with a letter or digit and has up to ${MAX_CONTAINER_ID} of them, dots, dashes and underscores.`,
  );
}

function checkNetns(netns: string, command: Command): void {
  if (command === 'DEL' && netns === '') return;
  if (netns.startsWith('/') && netns.length <= MAX_PATH && !netns.includes('\0')) return;
  throw invalid(
    netns === ''
      ? `CNI_NETNS is not set, which ${command} needs.`
      : `CNI_NETNS is ${JSON.stringify(netns.slice(0, 200))}; it must be an absolute path of at most ${MAX_PATH} characters.`,
  );
}

/** Rejects with code 4 what no runtime sends. */
export function readCall(body: unknown): Call {
  const { success, data } = handedOn.safeParse(body);
  if (!success) {
    throw invalid(
      "The call has not the form that the CNI program of this daemon's version gives it; install that one.",
    );
  }
  const { plugin, env, stdin } = data;
  const command = COMMANDS.find((each) => each === env.CNI_COMMAND);
  if (command === undefined) {
    throw invalid(
      `CNI_COMMAND is ${JSON.stringify(env.CNI_COMMAND.slice(0, 200))}; it is one of ${COMMANDS.join(', ')} and VERSION.`,
    );
  }
  const call = { command, plugin, stdin, args: readArgs(env.CNI_ARGS) };
  if (command === 'GC' || command === 'STATUS') {
    return { ...call, containerId: '', netns: '', ifname: '' };
  }
  checkContainerId(env.CNI_CONTAINERID, command);
  checkNetns(env.CNI_NETNS, command);
  if (env.CNI_IFNAME === '') throw invalid(`CNI_IFNAME is not set, which ${command} needs.`);
  return {
    ...call,
    ...{ containerId: env.CNI_CONTAINERID, netns: env.CNI_NETNS, ifname: env.CNI_IFNAME },
  };
}

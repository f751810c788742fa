import type { LabNamespace } from '../lib/lab.ts';
import type { LabProcess } from '../lib/process.ts';

/** One member: a process of its own, with an address of its own. */
export interface GossipAgent {
  readonly name: string;
  readonly address: string;
  readonly process: LabProcess;
  /** Tells a running agent to join; settles when it was told, not when it has joined. */
  join(address: string): Promise<void>;
}

/** A program that keeps a membership list by gossip. */
export interface GossipContender {
  readonly name: string;
  readonly describe: string;
  /** Debian packages that it needs. */
  readonly packages?: readonly string[];
  /** Starts an agent; settles when it can be told to join. */
  start(namespace: LabNamespace, name: string, address: string): Promise<GossipAgent>;
  /** What an agent prints once it knows that `name` is there. */
  joined(name: string): RegExp;
  /** What an agent prints once it holds that `name` has failed. */
  failed(name: string): RegExp;
}

/**
 * A host's network layer as a program, to be run inside a lab's namespace as the daemon would be:
 *
 *   node network-host.js '[{"call":"ensureBridge","with":{…}}, …]'
 *
 * Prints one JSON array with an answer for each call: `{value, ms}` or `{code, message}`.
 */
import assert from 'node:assert/strict';
import { isAppError } from '../../src/base/errors.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { PeerId, Vni } from '../../src/base/types.ts';
import { Auditor, type DesiredNetwork } from '../../src/network/audit.ts';
import { Bridges, type BridgeSpec } from '../../src/network/bridge.ts';
import { Sandboxes, type Attachment } from '../../src/network/sandbox.ts';
import { Shaping } from '../../src/network/shaping.ts';
import { TcTool } from '../../src/os/tc.ts';
import { systemExec } from '../../src/os/exec.ts';
import { IpTool } from '../../src/os/ip.ts';
import { systemNetns, type SandboxReference } from '../../src/os/netns.ts';
import { ProcSysctl } from '../../src/os/sysctl.ts';

export type HostCall =
  | { readonly call: 'ensureBridge'; readonly with: BridgeSpec }
  | { readonly call: 'ensurePort'; readonly with: BridgeSpec; readonly ifname: string }
  | { readonly call: 'removeBridge'; readonly with: Vni }
  | { readonly call: 'resolve'; readonly with: SandboxReference }
  | { readonly call: 'attach'; readonly with: Attachment }
  | { readonly call: 'detach'; readonly with: string }
  | { readonly call: 'audit'; readonly with: readonly DesiredNetwork[] };

/** `code` is absent exactly if the call succeeded. */
export interface HostAnswer {
  readonly value?: unknown;
  readonly ms?: number;
  readonly code?: string;
  readonly message?: string;
}

const ip = new IpTool(systemExec);
const sysctl = new ProcSysctl(systemExec);
const host = '0123456789abcdef0123456789abcdef' as PeerId;
const bridges = new Bridges({ ip, sysctl, host });
const shaping = new Shaping({ ip, sysctl, tc: new TcTool(systemExec), host });
const sandboxes = new Sandboxes({ ip, sysctl, netns: systemNetns, shaping, host });
const auditor = new Auditor({ ip, bridges, sandboxes, shaping, host });

function perform(call: HostCall): Promise<unknown> {
  switch (call.call) {
    case 'ensureBridge':
      return bridges.ensureBridge(call.with);
    case 'ensurePort':
      return bridges.ensurePort(call.with, call.ifname);
    case 'removeBridge':
      return bridges.removeBridge(call.with);
    case 'resolve':
      return systemNetns.resolve(call.with);
    case 'attach':
      return sandboxes.attach(call.with);
    case 'detach':
      return sandboxes.detach({ id: call.with });
    case 'audit':
      return auditor.audit(call.with);
  }
}

async function answer(call: HostCall): Promise<HostAnswer> {
  const start = systemClock.now();
  try {
    return { value: await perform(call), ms: systemClock.now() - start };
  } catch (error) {
    assert(isAppError(error), error instanceof Error ? error : String(error));
    return { code: error.code, message: error.message };
  }
}

const answers: HostAnswer[] = [];
for (const call of JSON.parse(process.argv[2] ?? '[]') as HostCall[]) {
  answers.push(await answer(call));
}
console.log(JSON.stringify(answers));

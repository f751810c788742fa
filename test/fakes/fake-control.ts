import type {
  AttachRequest,
  AuditReport,
  Control,
  DetachRequest,
  EndpointInfo,
  EndpointScope,
  EventsRequest,
  ExposeRequest,
  FdbInfo,
  ForgetRequest,
  IpamPlan,
  LinkDetail,
  LinkEvent,
  NameInfo,
  NameRemoval,
  NameRequest,
  NetworkDetail,
  NetworkInfo,
  NetworkRequest,
  PortRequest,
  PeerInfo,
  PoolInfo,
  RenameRequest,
  Status,
  ExpelledInfo,
  KeyInfo,
  TokenInfo,
  TokenRequest,
  VtepInfo,
} from '../../src/api/control.ts';
import { AppError } from '../../src/base/errors.ts';
import { metricsText } from '../../src/metrics/metrics.ts';

const NO_TRAFFIC = { rxFrames: 0, rxBytes: 0, txFrames: 0, txBytes: 0 };
const STARTED = '2026-01-02T03:04:05.000Z';

export const FAKE_STATUS: Status = {
  version: '0.1.0',
  name: 'host-a',
  id: '0123456789abcdef0123456789abcdef',
  key: 'hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=',
  pid: 4711,
  startedAt: STARTED,
  meshAddress: '0.0.0.0:7783',
  advertise: '192.0.2.1:7783',
  vxlanPort: 4789,
  warnings: ['The mesh is open: whoever reaches port 7783 can join.'],
  dataPlane: {
    kind: 'portable',
    reason: 'asked for with --data-plane portable',
    features: { receive: 'one datagram per event' },
    drops: { vxlan_flags: 3, vxlan_short: 0 },
    fdb: { learned: 2, moved: 0, aged: 0, evicted: 0, flushed: 0 },
    answered: { arp: 3, nd: 1, tooBig: 0 },
    ports: [{ network: 'blue', device: 'wt-blue', ...NO_TRAFFIC, rxFrames: 10, rxBytes: 2048 }],
    vteps: [
      {
        network: 'blue',
        address: '192.0.2.2:4789',
        origin: 'member',
        peer: 'host-b',
        ...NO_TRAFFIC,
      },
    ],
  },
  gossip: {
    members: { alive: 2, suspect: 0, dead: 1, left: 0 },
    counters: { probes: 12, acks: 12 },
  },
  dns: {
    domain: 'weft.local',
    listening: ['10.7.0.1:53 (blue)'],
    upstreams: ['192.0.2.53:53'],
    counters: { udp: 7, malformed: 1, ignored: 0 },
  },
  links: {
    peers: [],
    counters: { handshakeForeign: 0 },
    sent: { gossip: { datagrams: 2, bytes: 200 } },
  },
  pathMtu: { paths: [], counters: { mtuProbesSent: 0 } },
  networks: 1,
  endpoints: { local: 1, mesh: 2 },
};

export const FAKE_LINKS: readonly LinkDetail[] = [
  {
    ...{ peer: 'host-b', id: 'b123456789abcdef0123456789abcdef', state: 'alive' },
    ...{ encapsulations: ['sealed', 'vxlan'], keys: 'sealed', cipher: 'aes-256-gcm' },
    ...{ lastHandshake: STARTED, path: 'relay host-c', kind: 'relay', since: STARTED },
    ...{ why: '3 probes lost', flaps: 1, mtu: 1400 },
    traffic: { ...NO_TRAFFIC, rxFrames: 10, rxBytes: 2048 },
    paths: [
      {
        ...{ path: 'direct 192.0.2.2:7783', origin: 'announced', state: 'down', isUsed: false },
        ...{ rttMs: 0.4, jitterMs: 0.1, lossPercent: 100 },
      },
      {
        ...{ path: 'relay host-c', origin: 'relay', state: 'up', isUsed: true },
        ...{ rttMs: 1.24, jitterMs: 0.2, lossPercent: 0 },
      },
    ],
    note: 'Plain VXLAN goes to the announced address alone.',
  },
];

export const FAKE_EVENTS: readonly LinkEvent[] = [
  {
    ...{ sequence: 7, at: STARTED, kind: 'path', peer: 'host-b' },
    text: 'path to host-b: direct 192.0.2.2:7783 -> relay host-c: 3 probes lost',
  },
];

export const FAKE_KEYS: readonly KeyInfo[] = [
  { id: '11111111', number: 1, state: 'retired', lackedBy: [], sealedWithBy: [] },
  { id: '22222222', number: 2, state: 'in use', lackedBy: [], sealedWithBy: ['host-b'] },
  { id: '33333333', number: 3, state: 'opens', lackedBy: ['host-b'], sealedWithBy: [] },
];

export const FAKE_EXPELLED: ExpelledInfo = { id: 'c'.repeat(32), name: 'host-c' };

export const FAKE_TOKENS: readonly TokenInfo[] = [
  { id: 'a1', state: 'valid', uses: 2, used: 1, expiresAt: '2026-01-02T04:04:05.000Z' },
];

export const FAKE_NAMES: readonly NameInfo[] = [
  {
    ...{ name: 'web', address: '10.7.0.2', network: 'blue', host: 'host-a' },
    ...{ origin: 'endpoint', isAlive: true },
  },
  { name: 'gw', address: '192.0.2.9', host: 'host-b', origin: 'added', isAlive: false },
];

const HOST_A = { host: 'host-a', id: '0123456789abcdef0123456789abcdef', state: 'alive' } as const;
const HOST_B = { host: 'host-b', id: 'b123456789abcdef0123456789abcdef', state: 'dead' } as const;

export const FAKE_POOLS: readonly PoolInfo[] = [
  {
    ...{ network: 'blue', subnet: '10.7.0.0/24', version: 3, voters: [HOST_A, HOST_B] },
    lease: { isHeld: true, seconds: 'always' },
    shares: [
      { ...HOST_A, addresses: 127, open: 127, ranges: ['10.7.0.0-10.7.0.127'] },
      { ...HOST_B, addresses: 127, open: 16, ranges: ['10.7.0.128-10.7.0.255'] },
    ],
    here: { used: 1, free: 126, resting: 0 },
    unreachable: 127,
  },
];

export const FAKE_AUDIT: AuditReport = {
  findings: [
    { code: 'address-twice', severity: 'error', sentence: 'Address 10.7.0.2 is held twice.' },
  ],
  isClean: false,
};

export const FAKE_PLAN: IpamPlan = {
  plan: '0123456789ab',
  merges: [
    {
      ...{ network: 'blue~89abcdef', id: '89abcdef'.repeat(4), subnet: '10.7.0.0/16' },
      ...{ createdBy: 'host-c', createdAt: STARTED, into: 'blue', intoId: '01234567'.repeat(4) },
      ...{ intoSubnet: '10.7.0.0/24', intoCreatedBy: 'host-a', intoCreatedAt: STARTED },
    },
  ],
  vnis: [{ network: 'right', id: 'f'.repeat(32), from: 8, vni: 1_048_577, owner: 'left' }],
  endpoints: [
    {
      ...{ endpoint: 'e1'.padEnd(32, '0'), host: 'host-c', network: 'blue~89abcdef', to: 'blue' },
      ...{ address: '10.7.0.9', keeps: true, from: 'host-a' },
    },
    {
      ...{ endpoint: 'e2'.padEnd(32, '0'), host: 'host-c', network: 'blue~89abcdef', to: 'blue' },
      ...{ address: '10.7.0.2', keeps: false, why: 'an endpoint there has it' },
    },
  ],
};

export const FAKE_PEERS: readonly PeerInfo[] = [
  {
    name: 'host-a',
    id: '0123456789abcdef0123456789abcdef',
    address: '192.0.2.1:7783',
    vxlanPort: 4789,
    state: 'alive',
    incarnation: 1,
    self: true,
    since: STARTED,
    version: '0.1.0',
  },
  {
    name: 'host-b',
    id: 'fedcba9876543210fedcba9876543210',
    address: '192.0.2.2:7783',
    vxlanPort: 4789,
    state: 'dead',
    incarnation: 4,
    self: false,
    since: STARTED,
    version: '0.1.0',
  },
];

const FAKE_FDB: readonly FdbInfo[] = [
  {
    ...{ mac: '02:00:5e:10:00:01', origin: 'static', target: 'port wt-blue', ageSeconds: 0 },
    ...{ endpoint: 'e1', address: '10.7.0.2/24', host: 'host-a' },
  },
  { mac: '02:00:5e:10:00:02', origin: 'learned', target: 'vtep 192.0.2.2:4789', ageSeconds: 75 },
];

/**
 * A daemon's worth of `Control` in memory: networks, endpoints and foreign VTEPs live in maps, the
 * rest is fixed. Records every call; `failWith` makes each method reject with that error.
 */
export class FakeControl implements Control {
  readonly calls: { readonly method: string; readonly args: readonly unknown[] }[] = [];
  failWith: Error | undefined;
  statusAnswer: Status = FAKE_STATUS;
  /** Awaited before each answer: lets a test hold calls open. */
  gate: Promise<void> = Promise.resolve();
  readonly #networks = new Map<string, NetworkDetail>();
  readonly #endpoints = new Map<string, EndpointInfo>();

  async #enter(method: string, ...args: readonly unknown[]): Promise<void> {
    this.calls.push({ method, args });
    await this.gate;
    if (this.failWith !== undefined) throw this.failWith;
  }

  #network(name: string): NetworkDetail {
    const found = this.#networks.get(name);
    if (found !== undefined) return found;
    throw new AppError(
      'E_NETWORK_MISSING',
      `There is no network ${name}; weft network ls shows all.`,
    );
  }

  async status() {
    await this.#enter('status');
    return this.statusAnswer;
  }

  async peers() {
    await this.#enter('peers');
    return FAKE_PEERS;
  }

  async join(targets: readonly string[]) {
    await this.#enter('join', targets);
    const unreachable = targets.filter((target) => target.startsWith('bad'));
    if (unreachable.length === targets.length) {
      throw new AppError('E_JOIN_UNREACHABLE', `No daemon answers at ${targets.join(', ')}.`);
    }
    return {
      joined: targets
        .filter((target) => !target.startsWith('bad'))
        .map((target) => ({ target, peer: 'host-b' })),
      failed: unreachable.map((target) => ({
        target,
        code: 'E_JOIN_UNREACHABLE',
        message: `${target} refused the connection.`,
      })),
    };
  }

  async joinByToken(target: string, token: string) {
    await this.#enter('joinByToken', target, token);
    return { joined: [{ target, peer: 'host-b' }], failed: [] };
  }

  async createToken(request: TokenRequest) {
    await this.#enter('createToken', request);
    return { id: 'a1', token: 'weft1.word' };
  }

  async listTokens() {
    await this.#enter('listTokens');
    return FAKE_TOKENS;
  }

  async revokeToken(id: string) {
    await this.#enter('revokeToken', id);
  }

  async listKeys() {
    await this.#enter('listKeys');
    return FAKE_KEYS;
  }

  async rotateKeys() {
    await this.#enter('rotateKeys');
    return FAKE_KEYS;
  }

  async retireKeys(id?: string) {
    await this.#enter('retireKeys', id);
    return FAKE_KEYS;
  }

  async listExpelled() {
    await this.#enter('listExpelled');
    return [FAKE_EXPELLED];
  }

  async expel(host: string) {
    await this.#enter('expel', host);
    return FAKE_EXPELLED;
  }

  async takeBack(host: string) {
    await this.#enter('takeBack', host);
    return FAKE_EXPELLED;
  }

  async leave() {
    await this.#enter('leave');
  }

  async createNetwork(request: NetworkRequest): Promise<NetworkInfo> {
    await this.#enter('createNetwork', request);
    const info: NetworkInfo = {
      name: request.name,
      id: `id-${request.name}`,
      vni: request.vni ?? 4097,
      subnet: request.subnet,
      mtu: request.mtu ?? 1450,
      encap: request.encap ?? 'vxlan',
      endpoints: 0,
    };
    this.#networks.set(info.name, {
      ...info,
      bridge: 'weft-blue',
      device: 'wt-blue',
      createdBy: 'host-a',
      createdAt: STARTED,
      attached: [],
      vteps: [],
    });
    return info;
  }

  async listNetworks() {
    await this.#enter('listNetworks');
    return [...this.#networks.values()];
  }

  async inspectNetwork(name: string) {
    await this.#enter('inspectNetwork', name);
    const attached = [...this.#endpoints.values()].filter(({ network }) => network === name);
    return { ...this.#network(name), attached };
  }

  async removeNetwork(name: string) {
    await this.#enter('removeNetwork', name);
    this.#network(name);
    this.#networks.delete(name);
  }

  async attach(request: AttachRequest): Promise<EndpointInfo> {
    await this.#enter('attach', request);
    const { mtu } = this.#network(request.network);
    const info: EndpointInfo = {
      endpoint: `e${String(this.#endpoints.size)}`.padEnd(32, '0'),
      network: request.network,
      address: `${request.ip ?? '10.7.0.2'}/24`,
      mac: request.mac ?? '02:00:5e:10:00:01',
      ifname: request.ifname ?? 'eth0',
      mtu,
      host: 'host-a',
      sandbox: request.netns ?? `/proc/${String(request.pid)}/ns/net`,
      ...(request.names && { names: request.names }),
    };
    this.#endpoints.set(info.endpoint, info);
    return info;
  }

  async endpoints(scope: EndpointScope): Promise<readonly EndpointInfo[]> {
    await this.#enter('endpoints', scope);
    return [...this.#endpoints.values()].map((info) => ({
      ...info,
      since: STARTED,
      owner: 'pid 7',
    }));
  }

  async expose({ network, ip, ip6 }: ExposeRequest): Promise<EndpointInfo> {
    const wanted = { ...(ip === undefined ? {} : { ip }), ...(ip6 === undefined ? {} : { ip6 }) };
    await this.#enter('expose', { network, ...wanted });
    return this.attach({
      network,
      netns: '/proc/self/ns/net',
      ifname: 'weft-h42',
      ...wanted,
    });
  }

  async hide(network: string): Promise<EndpointInfo> {
    await this.#enter('hide', network);
    return this.detach({ network });
  }

  async detach(request: DetachRequest): Promise<EndpointInfo> {
    await this.#enter('detach', request);
    const found = [...this.#endpoints.values()].find(
      ({ endpoint, network }) => endpoint === request.endpoint || network === request.network,
    );
    if (found === undefined) throw new AppError('E_ENDPOINT_MISSING', 'There is no such endpoint.');
    this.#endpoints.delete(found.endpoint);
    return found;
  }

  async publish(endpoint: string, ports: readonly PortRequest[]): Promise<EndpointInfo> {
    await this.#enter('publish', endpoint, ports);
    const found = this.#endpoint(endpoint);
    return { ...found, ports: [...(found.ports ?? []), ...ports] };
  }

  async unpublish(endpoint: string, ports?: readonly PortRequest[]): Promise<EndpointInfo> {
    await this.#enter('unpublish', endpoint, ports);
    return this.#endpoint(endpoint);
  }

  #endpoint(id: string): EndpointInfo {
    const found = this.#endpoints.get(id);
    if (found === undefined) throw new AppError('E_ENDPOINT_MISSING', 'There is no such endpoint.');
    return found;
  }

  async rename({ endpoint, names }: RenameRequest): Promise<EndpointInfo> {
    await this.#enter('rename', { endpoint, names });
    const found = this.#endpoints.get(endpoint);
    if (found === undefined) throw new AppError('E_ENDPOINT_MISSING', 'There is no such endpoint.');
    const renamed = { ...found, names };
    this.#endpoints.set(endpoint, renamed);
    return renamed;
  }

  async forget(request: ForgetRequest) {
    await this.#enter('forget', request);
    return { host: request.host, id: FAKE_STATUS.id, endpoints: ['e1'.padEnd(16, '0')] };
  }

  async ipamStatus() {
    await this.#enter('ipamStatus');
    return FAKE_POOLS;
  }

  async ipamAudit() {
    await this.#enter('ipamAudit');
    return FAKE_AUDIT;
  }

  async ipamPlan() {
    await this.#enter('ipamPlan');
    return FAKE_PLAN;
  }

  async ipamRepair(plan: string) {
    await this.#enter('ipamRepair', plan);
    return { plan: '', waiting: [] };
  }

  async addName(request: NameRequest): Promise<NameInfo> {
    await this.#enter('addName', request);
    return { ...request, host: 'host-a', origin: 'added', isAlive: true };
  }

  async removeName(request: NameRemoval): Promise<readonly NameInfo[]> {
    await this.#enter('removeName', request);
    return [{ address: '10.7.0.9', ...request, host: 'host-a', origin: 'added', isAlive: true }];
  }

  async listNames() {
    await this.#enter('listNames');
    return FAKE_NAMES;
  }

  async addVtep(network: string, address: string) {
    await this.#enter('addVtep', network, address);
    const detail = this.#network(network);
    const vtep: VtepInfo = { network, address, origin: 'foreign', ...NO_TRAFFIC };
    this.#networks.set(network, { ...detail, vteps: [...detail.vteps, vtep] });
    return { network, address };
  }

  async removeVtep(network: string, address: string) {
    await this.#enter('removeVtep', network, address);
    const detail = this.#network(network);
    const vteps = detail.vteps.filter((vtep) => vtep.address !== address);
    if (vteps.length === detail.vteps.length) {
      throw new AppError('E_VTEP_MISSING', `Network ${network} has no VTEP ${address}.`);
    }
    this.#networks.set(network, { ...detail, vteps });
  }

  async listVteps(network: string) {
    await this.#enter('listVteps', network);
    return this.#network(network).vteps;
  }

  async fdb(network: string) {
    await this.#enter('fdb', network);
    this.#network(network);
    return FAKE_FDB;
  }

  async links(host?: string) {
    await this.#enter('links', host);
    return FAKE_LINKS;
  }

  async events(request: EventsRequest) {
    await this.#enter('events', request);
    return FAKE_EVENTS;
  }

  async metrics() {
    await this.#enter('metrics');
    return { text: metricsText(FAKE_STATUS, FAKE_LINKS) };
  }

  async version() {
    await this.#enter('version');
    return { version: '0.1.0', node: 'v20.20.2', protocol: { min: 1, max: 1 } };
  }
}

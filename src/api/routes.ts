import type {
  AttachRequest,
  AuditReport,
  Control,
  DetachRequest,
  EndpointInfo,
  EndpointScope,
  EventsRequest,
  ExpelledInfo,
  ExposeRequest,
  FdbInfo,
  ForeignVtep,
  ForgetReport,
  ForgetRequest,
  IpamPlan,
  JoinReport,
  KeyInfo,
  LinkDetail,
  LinkEvent,
  MetricsText,
  NameInfo,
  NameRemoval,
  NameRequest,
  NetworkDetail,
  NetworkInfo,
  NetworkRequest,
  PeerInfo,
  PoolInfo,
  PortRequest,
  RenameRequest,
  RepairReport,
  Status,
  TokenInfo,
  TokenRequest,
  TokenText,
  VersionInfo,
  VtepInfo,
} from './control.ts';

/** Every method of `Control`: the name of its route. */
export type RouteName = keyof Control;

interface Named {
  readonly name: string;
}

interface OfNetwork {
  readonly network: string;
}

type Nothing = Readonly<Record<string, never>>;

/** What goes in and out of each route: `input` is the path's parameters and the body in one object. */
export interface Calls {
  readonly status: { input: Nothing; answer: Status };
  readonly peers: { input: Nothing; answer: readonly PeerInfo[] };
  readonly join: { input: { readonly targets: readonly string[] }; answer: JoinReport };
  readonly joinByToken: {
    input: { readonly target: string; readonly token: string };
    answer: JoinReport;
  };
  readonly createToken: { input: TokenRequest; answer: TokenText };
  readonly listTokens: { input: Nothing; answer: readonly TokenInfo[] };
  readonly listKeys: { input: Nothing; answer: readonly KeyInfo[] };
  readonly rotateKeys: { input: Nothing; answer: readonly KeyInfo[] };
  readonly retireKeys: { input: { readonly id?: string }; answer: readonly KeyInfo[] };
  readonly listExpelled: { input: Nothing; answer: readonly ExpelledInfo[] };
  readonly expel: { input: { readonly host: string }; answer: ExpelledInfo };
  readonly takeBack: { input: { readonly host: string }; answer: ExpelledInfo };
  readonly revokeToken: { input: { readonly id: string }; answer: undefined };
  readonly leave: { input: Nothing; answer: undefined };
  readonly createNetwork: { input: NetworkRequest; answer: NetworkInfo };
  readonly listNetworks: { input: Nothing; answer: readonly NetworkInfo[] };
  readonly inspectNetwork: { input: Named; answer: NetworkDetail };
  readonly removeNetwork: { input: Named; answer: undefined };
  readonly endpoints: { input: { readonly scope: EndpointScope }; answer: readonly EndpointInfo[] };
  readonly attach: { input: AttachRequest; answer: EndpointInfo };
  readonly detach: { input: DetachRequest; answer: EndpointInfo };
  readonly expose: { input: ExposeRequest; answer: EndpointInfo };
  readonly hide: { input: OfNetwork; answer: EndpointInfo };
  readonly publish: {
    input: { readonly endpoint: string; readonly ports: readonly PortRequest[] };
    answer: EndpointInfo;
  };
  readonly unpublish: {
    input: { readonly endpoint: string; readonly ports?: readonly PortRequest[] };
    answer: EndpointInfo;
  };
  readonly rename: { input: RenameRequest; answer: EndpointInfo };
  readonly forget: { input: ForgetRequest; answer: ForgetReport };
  readonly ipamStatus: { input: Nothing; answer: readonly PoolInfo[] };
  readonly ipamAudit: { input: Nothing; answer: AuditReport };
  readonly ipamPlan: { input: Nothing; answer: IpamPlan };
  readonly ipamRepair: { input: { readonly plan: string }; answer: RepairReport };
  readonly addName: { input: NameRequest; answer: NameInfo };
  readonly removeName: { input: NameRemoval; answer: readonly NameInfo[] };
  readonly listNames: { input: Nothing; answer: readonly NameInfo[] };
  readonly addVtep: { input: ForeignVtep; answer: ForeignVtep };
  readonly removeVtep: { input: ForeignVtep; answer: undefined };
  readonly listVteps: { input: OfNetwork; answer: readonly VtepInfo[] };
  readonly fdb: { input: OfNetwork; answer: readonly FdbInfo[] };
  readonly links: { input: { readonly host?: string }; answer: readonly LinkDetail[] };
  readonly events: { input: EventsRequest; answer: readonly LinkEvent[] };
  readonly metrics: { input: Nothing; answer: MetricsText };
  readonly version: { input: Nothing; answer: VersionInfo };
}

export type Input<Name extends RouteName> = Calls[Name]['input'];
export type Answer<Name extends RouteName> = Calls[Name]['answer'];

/**
 * How an answer is recognised: `none` is status 204, the others are JSON whose objects hold at least
 * the keys named. The client checks that and no more: a newer daemon may say more, and a full schema
 * would cost a short command more time (zod: 50 ms to load) than all the rest of it.
 */
export type AnswerShape<Key extends string = string> =
  'none' | { readonly object: readonly Key[] } | { readonly list: readonly Key[] };

type KeyOf<T> = (T extends readonly (infer Item)[] ? keyof Item : keyof T) & string;

export interface Route<Name extends RouteName> {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** `:key` segments are filled from the input; on POST what is left of it is the JSON body. */
  readonly path: string;
  readonly answer: AnswerShape<KeyOf<Answer<Name>>>;
  readonly call: (control: Control, input: Input<Name>) => Promise<Answer<Name>>;
}

const KEY_FIELDS = ['id', 'number', 'state', 'lackedBy', 'sealedWithBy'] as const;

const ENDPOINT = {
  object: ['endpoint', 'network', 'address', 'mac', 'ifname', 'mtu', 'host', 'sandbox'],
} as const satisfies AnswerShape<keyof EndpointInfo>;

/** `undefined`, whatever the method resolved with: an answer of status 204. */
async function nothing(done: Promise<void>): Promise<undefined> {
  await done;
  return undefined;
}

/** The whole HTTP interface: which method and path calls what. Served and spoken from this table. */
export const ROUTES: { readonly [Name in RouteName]: Route<Name> } = {
  status: {
    method: 'GET',
    path: '/v1/status',
    answer: { object: ['version', 'name', 'id', 'warnings', 'dataPlane', 'gossip', 'endpoints'] },
    call: (control) => control.status(),
  },
  peers: {
    method: 'GET',
    path: '/v1/peers',
    answer: { list: ['name', 'id', 'address', 'state', 'since'] },
    call: (control) => control.peers(),
  },
  join: {
    method: 'POST',
    path: '/v1/join',
    answer: { object: ['joined', 'failed'] },
    call: (control, { targets }) => control.join(targets),
  },
  joinByToken: {
    method: 'POST',
    path: '/v1/join-by-token',
    answer: { object: ['joined', 'failed'] },
    call: (control, { target, token }) => control.joinByToken(target, token),
  },
  createToken: {
    method: 'POST',
    path: '/v1/tokens',
    answer: { object: ['id', 'token'] },
    call: (control, request) => control.createToken(request),
  },
  listTokens: {
    method: 'GET',
    path: '/v1/tokens',
    answer: { list: ['id', 'state', 'uses', 'used', 'expiresAt'] },
    call: (control) => control.listTokens(),
  },
  revokeToken: {
    method: 'DELETE',
    path: '/v1/tokens/:id',
    answer: 'none',
    call: (control, { id }) => nothing(control.revokeToken(id)),
  },
  listKeys: {
    method: 'GET',
    path: '/v1/keys',
    answer: { list: KEY_FIELDS },
    call: (control) => control.listKeys(),
  },
  rotateKeys: {
    method: 'POST',
    path: '/v1/keys/rotate',
    answer: { list: KEY_FIELDS },
    call: (control) => control.rotateKeys(),
  },
  retireKeys: {
    method: 'POST',
    path: '/v1/keys/retire',
    answer: { list: KEY_FIELDS },
    call: (control, { id }) => control.retireKeys(id),
  },
  listExpelled: {
    method: 'GET',
    path: '/v1/expelled',
    answer: { list: ['id', 'name'] },
    call: (control) => control.listExpelled(),
  },
  expel: {
    method: 'POST',
    path: '/v1/expelled',
    answer: { object: ['id', 'name'] },
    call: (control, { host }) => control.expel(host),
  },
  takeBack: {
    method: 'DELETE',
    path: '/v1/expelled/:host',
    answer: { object: ['id', 'name'] },
    call: (control, { host }) => control.takeBack(host),
  },
  leave: {
    method: 'POST',
    path: '/v1/leave',
    answer: 'none',
    call: (control) => nothing(control.leave()),
  },
  createNetwork: {
    method: 'POST',
    path: '/v1/networks',
    answer: { object: ['name', 'id', 'vni', 'subnet', 'mtu'] },
    call: (control, request) => control.createNetwork(request),
  },
  listNetworks: {
    method: 'GET',
    path: '/v1/networks',
    answer: { list: ['name', 'id', 'vni', 'subnet', 'mtu'] },
    call: (control) => control.listNetworks(),
  },
  inspectNetwork: {
    method: 'GET',
    path: '/v1/networks/:name',
    answer: { object: ['name', 'id', 'vni', 'subnet', 'attached', 'vteps'] },
    call: (control, { name }) => control.inspectNetwork(name),
  },
  removeNetwork: {
    method: 'DELETE',
    path: '/v1/networks/:name',
    answer: 'none',
    call: (control, { name }) => nothing(control.removeNetwork(name)),
  },
  endpoints: {
    method: 'GET',
    path: '/v1/endpoints/:scope',
    answer: { list: ENDPOINT.object },
    call: (control, { scope }) => control.endpoints(scope),
  },
  attach: {
    method: 'POST',
    path: '/v1/attach',
    answer: ENDPOINT,
    call: (control, request) => control.attach(request),
  },
  detach: {
    method: 'POST',
    path: '/v1/detach',
    answer: ENDPOINT,
    call: (control, request) => control.detach(request),
  },
  expose: {
    method: 'POST',
    path: '/v1/expose',
    answer: ENDPOINT,
    call: (control, request) => control.expose(request),
  },
  hide: {
    method: 'POST',
    path: '/v1/hide',
    answer: ENDPOINT,
    call: (control, { network }) => control.hide(network),
  },
  publish: {
    method: 'POST',
    path: '/v1/publish',
    answer: ENDPOINT,
    call: (control, { endpoint, ports }) => control.publish(endpoint, ports),
  },
  unpublish: {
    method: 'POST',
    path: '/v1/unpublish',
    answer: ENDPOINT,
    call: (control, { endpoint, ports }) => control.unpublish(endpoint, ports),
  },
  rename: {
    method: 'POST',
    path: '/v1/endpoints/:endpoint/names',
    answer: ENDPOINT,
    call: (control, request) => control.rename(request),
  },
  forget: {
    method: 'POST',
    path: '/v1/forget',
    answer: { object: ['host', 'id', 'endpoints'] },
    call: (control, request) => control.forget(request),
  },
  ipamStatus: {
    method: 'GET',
    path: '/v1/ipam',
    answer: { list: ['network', 'subnet', 'voters', 'lease', 'shares', 'here'] },
    call: (control) => control.ipamStatus(),
  },
  ipamAudit: {
    method: 'GET',
    path: '/v1/ipam/audit',
    answer: { object: ['findings', 'isClean'] },
    call: (control) => control.ipamAudit(),
  },
  ipamPlan: {
    method: 'GET',
    path: '/v1/ipam/plan',
    answer: { object: ['plan', 'merges', 'vnis', 'endpoints'] },
    call: (control) => control.ipamPlan(),
  },
  ipamRepair: {
    method: 'POST',
    path: '/v1/ipam/repair',
    answer: { object: ['plan', 'waiting'] },
    call: (control, { plan }) => control.ipamRepair(plan),
  },
  addName: {
    method: 'POST',
    path: '/v1/names',
    answer: { object: ['name', 'address', 'host', 'origin'] },
    call: (control, request) => control.addName(request),
  },
  removeName: {
    method: 'POST',
    path: '/v1/names/remove',
    answer: { list: ['name', 'address', 'host', 'origin'] },
    call: (control, request) => control.removeName(request),
  },
  listNames: {
    method: 'GET',
    path: '/v1/names',
    answer: { list: ['name', 'address', 'host', 'origin'] },
    call: (control) => control.listNames(),
  },
  addVtep: {
    method: 'POST',
    path: '/v1/networks/:network/vteps',
    answer: { object: ['network', 'address'] },
    call: (control, { network, address }) => control.addVtep(network, address),
  },
  removeVtep: {
    method: 'DELETE',
    path: '/v1/networks/:network/vteps/:address',
    answer: 'none',
    call: (control, { network, address }) => nothing(control.removeVtep(network, address)),
  },
  listVteps: {
    method: 'GET',
    path: '/v1/networks/:network/vteps',
    answer: { list: ['network', 'address', 'origin'] },
    call: (control, { network }) => control.listVteps(network),
  },
  fdb: {
    method: 'GET',
    path: '/v1/networks/:network/fdb',
    answer: { list: ['mac', 'origin', 'target', 'ageSeconds'] },
    call: (control, { network }) => control.fdb(network),
  },
  links: {
    method: 'POST',
    path: '/v1/links',
    answer: { list: ['peer', 'id', 'path', 'kind', 'since', 'why', 'paths'] },
    call: (control, { host }) => control.links(host),
  },
  events: {
    method: 'POST',
    path: '/v1/events',
    answer: { list: ['sequence', 'at', 'kind', 'peer', 'text'] },
    call: (control, request) => control.events(request),
  },
  metrics: {
    method: 'GET',
    path: '/v1/metrics',
    answer: { object: ['text'] },
    call: (control) => control.metrics(),
  },
  version: {
    method: 'GET',
    path: '/v1/version',
    answer: { object: ['version', 'node', 'protocol'] },
    call: (control) => control.version(),
  },
};

/** The path with its `:key` segments filled from `input`, and what of the input was not used in it. */
export function fillPath(
  path: string,
  input: Readonly<Record<string, unknown>>,
): { readonly path: string; readonly rest: Readonly<Record<string, unknown>> } {
  const rest = { ...input };
  const filled = path.replace(/:([a-z]+)/g, (_, key: string) => {
    const { [key]: value } = rest;
    Reflect.deleteProperty(rest, key);
    return encodeURIComponent(String(value));
  });
  return { path: filled, rest };
}

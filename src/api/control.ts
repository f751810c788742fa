/**
 * All that a user can do to a daemon, whatever the face (CLI, HTTP; later Docker and CNI). The
 * daemon implements it, `api/client.ts` implements it over the unix socket. Every value is plain JSON:
 * MACs are `02:00:5e:10:00:01`, addresses carry no prefix unless the field says CIDR, socket addresses
 * read `192.0.2.1:7783` or `[2001:db8::1]:7783`, times are ISO 8601.
 *
 * Every method rejects with an `AppError` and then has changed nothing.
 */
export interface Control {
  status(): Promise<Status>;
  peers(): Promise<readonly PeerInfo[]>;
  /** Tries every target; rejects only if none could be joined. Targets: `HOST` or `HOST:PORT`. */
  join(targets: readonly string[]): Promise<JoinReport>;
  /**
   * Joins at the one host that printed the token, and takes the secret of its mesh for this host's own.
   * E_TOKEN_INVALID, E_TOKEN_REFUSED, E_MESH_SHARED beside what `join` rejects with.
   */
  joinByToken(target: string, token: string): Promise<JoinReport>;
  /** Makes an invitation. */
  createToken(request: TokenRequest): Promise<TokenText>;
  /** The invitations that this host has made, those of the last days that are used up among them. */
  listTokens(): Promise<readonly TokenInfo[]>;
  revokeToken(id: string): Promise<void>;
  listKeys(): Promise<readonly KeyInfo[]>;
  /** Makes a key that all hosts seal with as soon as all have it. */
  rotateKeys(): Promise<readonly KeyInfo[]>;
  /** Has a key open nothing any more; all but the one in use without an id. */
  retireKeys(id?: string): Promise<readonly KeyInfo[]>;
  listExpelled(): Promise<readonly ExpelledInfo[]>;
  /** Refuses a host everywhere and changes the keys that it has. */
  expel(host: string): Promise<ExpelledInfo>;
  takeBack(host: string): Promise<ExpelledInfo>;
  /** Leaves the mesh and forgets its peers; the daemon runs on alone. */
  leave(): Promise<void>;

  createNetwork(request: NetworkRequest): Promise<NetworkInfo>;
  listNetworks(): Promise<readonly NetworkInfo[]>;
  inspectNetwork(name: string): Promise<NetworkDetail>;
  removeNetwork(name: string): Promise<void>;

  /** Endpoints of this host, or of all. */
  endpoints(scope: EndpointScope): Promise<readonly EndpointInfo[]>;
  attach(request: AttachRequest): Promise<EndpointInfo>;
  detach(request: DetachRequest): Promise<EndpointInfo>;
  /** This host itself joins a network that is not isolated; again, it changes nothing. */
  expose(request: ExposeRequest): Promise<EndpointInfo>;
  /** Undoes `expose`; E_ENDPOINT_MISSING if it is not there. */
  hide(network: string): Promise<EndpointInfo>;
  /** Has more ports of this host lead to an endpoint of it; what leads there already stays. */
  publish(endpoint: string, ports: readonly PortRequest[]): Promise<EndpointInfo>;
  /** Takes such ports back; without `ports` all. What is not published is left alone. */
  unpublish(endpoint: string, ports?: readonly PortRequest[]): Promise<EndpointInfo>;
  /** Gives an endpoint of this host other names in DNS, instead of those it has. */
  rename(request: RenameRequest): Promise<EndpointInfo>;

  /** Takes all addresses and endpoints from a host that will not come back. */
  forget(request: ForgetRequest): Promise<ForgetReport>;
  /** Who owns the addresses of each network. */
  ipamStatus(): Promise<readonly PoolInfo[]>;
  /** What the tables, the owners of addresses and this host's interfaces disagree on. */
  ipamAudit(): Promise<AuditReport>;
  /** What a repair would do about networks and addresses that meshes seeded apart both have. */
  ipamPlan(): Promise<IpamPlan>;
  /** Does what the plan of that id says; E_PLAN_CHANGED if it would be another by now. */
  ipamRepair(plan: string): Promise<RepairReport>;

  /** Gives an address a name in DNS, by this host. Told again, it changes nothing. */
  addName(request: NameRequest): Promise<NameInfo>;
  /** Takes such names away, whichever host gave them; returns what they were. */
  removeName(request: NameRemoval): Promise<readonly NameInfo[]>;
  /** All names in DNS, of endpoints and added ones. */
  listNames(): Promise<readonly NameInfo[]>;

  addVtep(network: string, address: string): Promise<ForeignVtep>;
  removeVtep(network: string, address: string): Promise<void>;
  listVteps(network: string): Promise<readonly VtepInfo[]>;

  fdb(network: string): Promise<readonly FdbInfo[]>;
  /** Every link of this host, or those to one host, by its name or id; E_HOST_MISSING. */
  links(host?: string): Promise<readonly LinkDetail[]>;
  /** What has happened to links of late, or is about to. */
  events(request: EventsRequest): Promise<readonly LinkEvent[]>;
  /** What this host counts, as Prometheus reads it. */
  metrics(): Promise<MetricsText>;
  version(): Promise<VersionInfo>;
}

export interface VersionInfo {
  readonly version: string;
  readonly node: string;
  /** Mesh protocol versions that this daemon speaks. */
  readonly protocol: { readonly min: number; readonly max: number };
}

export interface Status {
  readonly version: string;
  readonly name: string;
  readonly id: string;
  /** Its X25519 public key, in Base64; `weft peers --json` has it on every host. */
  readonly key: string;
  readonly pid: number;
  readonly startedAt: string;
  readonly meshAddress: string;
  /** What the other hosts are told to send to. */
  readonly advertise: string;
  readonly vxlanPort: number;
  /** Where frames may go in the clear, as CIDRs; absent: nowhere. */
  readonly trustedSubnets?: readonly string[];
  /** Where Prometheus may ask; absent: nowhere. */
  readonly metrics?: string;
  /** Sentences an operator should read, e.g. that the mesh is open. */
  readonly warnings: readonly string[];
  readonly dataPlane: {
    readonly kind: 'portable' | 'native';
    /** Why this one runs and not the other. */
    readonly reason: string;
    readonly features: Readonly<Record<string, string>>;
    readonly drops: Readonly<Record<string, number>>;
    readonly fdb: Readonly<Record<string, number>>;
    /** Questions of local stations that were answered for endpoints on other hosts; and those told that a packet is too long. */
    readonly answered: { readonly arp: number; readonly nd: number; readonly tooBig: number };
    readonly ports: readonly PortInfo[];
    readonly vteps: readonly VtepInfo[];
  };
  readonly gossip: {
    readonly members: Readonly<Record<MemberState, number>>;
    readonly counters: Readonly<Record<string, number>>;
  };
  readonly dns: DnsStatus;
  readonly links: LinksStatus;
  readonly pathMtu: PathMtuStatus;
  readonly networks: number;
  readonly endpoints: { readonly local: number; readonly mesh: number };
}

/** What is known of the MTUs of the paths to hosts that share a network with this one. */
export interface PathMtuStatus {
  readonly paths: readonly PathMtuInfo[];
  /** Probes sent and answered, black holes found, answers that nobody waits for. */
  readonly counters: Readonly<Record<string, number>>;
}

export interface PathMtuInfo {
  readonly peer: string;
  /** Of packets on the underlay, outer headers included; absent: the peer has answered none yet. */
  readonly mtu?: number;
  /** As RFC 8899 §5.2 has them. */
  readonly phase: 'base' | 'searching' | 'complete' | 'error';
  /** The most that this host's own interface takes. */
  readonly interfaceMtu: number;
  readonly roundTripMs?: number;
}

/** Keys for sealed networks. */
export interface LinksStatus {
  readonly peers: readonly LinkInfo[];
  /** Handshake datagrams that were refused, by reason. */
  readonly counters: Readonly<Record<string, number>>;
  /** Control datagrams that were sent, by what they are; bytes with the headers of UDP and IP. */
  readonly sent: Readonly<Record<string, { readonly datagrams: number; readonly bytes: number }>>;
}

/** Absent for hosts with which no sealed network is shared. */
export interface LinkInfo {
  readonly peer: string;
  /** `sealed`: there are keys. `connecting`: the other host has not answered yet. */
  readonly state: 'sealed' | 'connecting';
  readonly cipher?: string;
  /** Frames to it go in the clear, for this reason. */
  readonly plain?: string;
  readonly keyAgeSeconds?: number;
  /** Handshakes begun in a row that were not answered. */
  readonly unanswered: number;
}

/** What carries frames to one host. */
export interface LinkDetail {
  readonly peer: string;
  readonly id: string;
  readonly state: MemberState;
  /** Of the networks on which both have endpoints; empty: no frames go between the two. */
  readonly encapsulations: readonly EncapsulationName[];
  /** Of the keys in use, and since when they are. */
  readonly cipher?: string;
  readonly lastHandshake?: string;
  /** `none`: keys are not wanted. */
  readonly keys: 'sealed' | 'connecting' | 'none';
  /** The way in use: `direct 192.0.2.7:7783`, `relay c`. */
  readonly path: string;
  readonly kind: 'direct' | 'relay';
  readonly since: string;
  readonly why: string;
  /** How often the path has changed since paths to this host are measured. */
  readonly flaps: number;
  /** Least MTU that is known to pass, of what the underlay carries; absent: not searched for. */
  readonly mtu?: number;
  readonly traffic: Traffic;
  /** Every way that is measured, the one in use among them. */
  readonly paths: readonly LinkPath[];
  /** Where this host trusts subnets: whether sealed networks' frames to it go in the clear, and why. */
  readonly trust?: { readonly isPlain: boolean; readonly why: string };
  /** What of all this does not hold for plain VXLAN, if both share such a network. */
  readonly note?: string;
}

export interface LinkPath {
  readonly path: string;
  /** Where the address is known from: `announced`, `candidate`, `seen`, or `relay`. */
  readonly origin: string;
  readonly state: 'untried' | 'up' | 'down';
  readonly isUsed: boolean;
  readonly rttMs?: number;
  readonly jitterMs: number;
  readonly lossPercent: number;
}

export interface EventsRequest {
  /** Only events of higher numbers; default 0: all that are remembered. */
  readonly after?: number;
  /** Wait for one so long if there is none yet, 0 to 25 seconds; default 0. */
  readonly waitSeconds?: number;
}

export interface LinkEvent {
  /** Counts up from 1 with the daemon's start. */
  readonly sequence: number;
  readonly at: string;
  readonly kind: 'path' | 'reach' | 'keys' | 'mtu';
  /** Name of the host that it is about. */
  readonly peer: string;
  readonly text: string;
}

/** What Prometheus' text format is called in HTTP. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export interface MetricsText {
  /** Prometheus' text format 0.0.4. */
  readonly text: string;
}

/** How this host answers questions for names. */
export interface DnsStatus {
  readonly domain: string;
  /** Where it listens: `10.7.0.1:53 (blue)`. */
  readonly listening: readonly string[];
  /** Who is asked for names outside the domain. */
  readonly upstreams: readonly string[];
  readonly counters: Readonly<Record<string, number>>;
}

export interface PortInfo extends Traffic {
  readonly network: string;
  readonly device: string;
}

export interface Traffic {
  readonly rxFrames: number;
  readonly rxBytes: number;
  readonly txFrames: number;
  readonly txBytes: number;
}

export type MemberState = 'alive' | 'suspect' | 'dead' | 'left';

export interface PeerInfo {
  readonly name: string;
  readonly id: string;
  readonly address: string;
  readonly vxlanPort: number;
  readonly state: MemberState;
  readonly incarnation: number;
  /** This very host. */
  readonly self: boolean;
  /** When this daemon saw the present state begin. */
  readonly since: string;
  readonly version: string;
  /** Its X25519 public key, in Base64; absent where its id does not prove one. */
  readonly key?: string;
}

export interface TokenRequest {
  /** How long it can be used, 1 s to 30 days; 3600 s unless told otherwise. */
  readonly ttlSeconds?: number;
  /** How many hosts may use it, 1 to 10,000; 1 unless told otherwise. */
  readonly uses?: number;
}

export interface TokenText {
  readonly id: string;
  /** One word; whoever has it can join. It is not told again. */
  readonly token: string;
}

export interface TokenInfo {
  readonly id: string;
  readonly state: 'valid' | 'expired' | 'spent' | 'revoked';
  readonly uses: number;
  readonly used: number;
  readonly expiresAt: string;
}

/** A key of the mesh, without its secret. */
export interface KeyInfo {
  readonly id: string;
  readonly number: number;
  /** `in use`: this host seals with it. */
  readonly state: 'in use' | 'opens' | 'retired';
  /** Of the newest key: live hosts that don't have it yet. */
  readonly lackedBy: readonly string[];
  /** Live hosts that seal with it. */
  readonly sealedWithBy: readonly string[];
}

export interface ExpelledInfo {
  readonly id: string;
  readonly name: string;
}

export interface JoinReport {
  readonly joined: readonly { readonly target: string; readonly peer: string }[];
  readonly failed: readonly {
    readonly target: string;
    readonly code: string;
    readonly message: string;
  }[];
}

export type EncapsulationName = 'vxlan' | 'sealed';
export type NetworkEdge = 'routed' | 'internal';

export interface NetworkRequest {
  readonly name: string;
  /** CIDR with no host bits, e.g. `10.7.0.0/24`. */
  readonly subnet: string;
  /** Beside an IPv4 subnet, an IPv6 one: every endpoint then has an address of both. */
  readonly subnet6?: string;
  /** Has `subnet6` made up if it is not given: a unique local /64 (RFC 4193). */
  readonly ipv6?: boolean;
  readonly vni?: number;
  readonly mtu?: number;
  readonly encap?: EncapsulationName;
  /** CIDR inside the subnet that addresses are chosen from; default all of it. */
  readonly ipRange?: string;
  readonly ipRange6?: string;
  /**
   * Whether each host that carries it is its gateway: `routed` leads out by masquerade, `internal` does
   * not. Default: a plain wire, without a gateway.
   */
  readonly edge?: NetworkEdge;
  /** With `edge`: keeps endpoints from each other, on all hosts, but for published ports. Default false. */
  readonly isolate?: boolean;
  /** An address that no endpoint gets; with `edge` the hosts' own, by default the subnet's first. */
  readonly gateway?: string;
  readonly gateway6?: string;
  /** More of them, at most 64 in all. */
  readonly reserved?: readonly string[];
  /**
   * Other hosts may be asked to make the same network at this moment: all of it follows from the request
   * and the hosts that are alive, so that they make one network and not several.
   */
  readonly shared?: boolean;
}

export interface NetworkInfo {
  readonly name: string;
  readonly id: string;
  readonly vni: number;
  readonly subnet: string;
  readonly subnet6?: string;
  /** That it was made with. */
  readonly mtu: number;
  /** Present while it has less, since a path between two of its hosts takes no more. */
  readonly mtuLimit?: MtuLimitInfo;
  readonly encap: EncapsulationName;
  readonly edge?: NetworkEdge;
  /** Its endpoints reach each other by published ports only; absent: directly. */
  readonly isolated?: true;
  /** As they were asked for when it was made. */
  readonly ipRange?: string;
  readonly ipRange6?: string;
  readonly gateway?: string;
  readonly gateway6?: string;
  readonly reserved?: readonly string[];
  /** Endpoints in the whole mesh. */
  readonly endpoints: number;
}

export interface MtuLimitInfo {
  /** That the network has at this moment. */
  readonly mtu: number;
  /** Names of the hosts at the two ends of the narrowest path. */
  readonly from: string;
  readonly to: string;
  /** Of packets on the underlay. */
  readonly pathMtu: number;
}

export interface NetworkDetail extends NetworkInfo {
  /** Bridge and TAP device on this host, if the network is realised here. */
  readonly bridge?: string;
  readonly device?: string;
  /** What belongs into the resolv.conf of its endpoints on this host, if names are answered there. */
  readonly dns?: { readonly servers: readonly string[]; readonly search: readonly string[] };
  readonly createdBy: string;
  readonly createdAt: string;
  readonly attached: readonly EndpointInfo[];
  readonly vteps: readonly VtepInfo[];
}

export interface ExposeRequest {
  readonly network: string;
  /** Default: a free one. */
  readonly ip?: string;
  /** Likewise of the IPv6 subnet of a network with two. */
  readonly ip6?: string;
}

export type EndpointScope = 'here' | 'all';

export interface AttachRequest {
  readonly network: string;
  /** Exactly one of `netns` (a name under /run/netns, or a path) and `pid`. */
  readonly netns?: string;
  readonly pid?: number;
  /** Default `eth0`, or with `anyIfname` the first `eth` and a number that the sandbox has not. */
  readonly ifname?: string;
  /** Asked again for the same sandbox and network, it is the endpoint that there is. */
  readonly anyIfname?: boolean;
  readonly ip?: string;
  /** Of a network with two subnets, the IPv6 address. */
  readonly ip6?: string;
  readonly mac?: string;
  /** Whether the sandbox gets a default route by the network's gateway, if it is routed. Default true. */
  readonly defaultRoute?: boolean;
  /** What the sandbox is to have routes to, instead of the default route. At most 64. */
  readonly routes?: readonly RouteRequest[];
  readonly ports?: readonly PortRequest[];
  /** Rates that the endpoint is held to. */
  readonly bandwidth?: BandwidthRequest;
  /**
   * 32 lower-case hex digits, chosen by a caller who must find the endpoint again whatever happens; asked
   * again for the same sandbox is then E_ENDPOINT_EXISTS. Default: a random one.
   */
  readonly id?: string;
  /** Whose it is, in the caller's words, at most 300 characters; shown, and for whoever cleans up. */
  readonly origin?: string;
  /** What it is to be found by in DNS, at most 16; any case, kept in lower case. */
  readonly names?: readonly string[];
}

/** A route of a sandbox by the interface that attaching makes. */
export interface RouteRequest {
  /** CIDR without host bits; `0.0.0.0/0` and `::/0` are everything. */
  readonly destination: string;
  /** An address in the network's subnet. Default: the gateway of a routed network. */
  readonly via?: string;
}

/** `ingress` is what goes to the sandbox, `egress` what comes from it. Default: no limit. */
export interface BandwidthRequest {
  readonly ingress?: RateRequest;
  readonly egress?: RateRequest;
}

/** In bits a second, and bits that may go at once after a pause. Both 0: no limit. */
export interface RateRequest {
  readonly rate: number;
  readonly burst: number;
}

/** A port of this host that is to lead to the endpoint. */
export interface PortRequest {
  readonly protocol: 'tcp' | 'udp';
  /** Default: every address of the host. */
  readonly hostAddress?: string;
  /** 0 has a free one chosen. */
  readonly hostPort: number;
  readonly port: number;
}

export interface RenameRequest {
  /** Its id, or a unique prefix of 4 or more characters. */
  readonly endpoint: string;
  readonly names: readonly string[];
}

export interface NameRequest {
  /** Relative to the domain; any case, kept in lower case. */
  readonly name: string;
  readonly address: string;
  /** For endpoints of this network; default: of every network. */
  readonly network?: string;
}

export interface NameRemoval {
  readonly name: string;
  /** Default: whatever the address. */
  readonly address?: string;
  /** Default: whatever the network. */
  readonly network?: string;
}

export interface NameInfo {
  readonly name: string;
  readonly address: string;
  readonly network?: string;
  readonly host: string;
  /** An endpoint's own, or one that `weft dns add` made. */
  readonly origin: 'endpoint' | 'added';
  /** Whether its host lives: else the name is silent. */
  readonly isAlive: boolean;
}

export interface ForgetRequest {
  /** Its name, its id, or the first 4 or more letters of that. */
  readonly host: string;
  /** Do it without the other voters, where none of them is alive. */
  readonly force?: boolean;
}

export interface ForgetReport {
  readonly host: string;
  readonly id: string;
  /** Ids of the endpoints that were removed with it. */
  readonly endpoints: readonly string[];
}

/** The addresses of one subnet of a network, as this host knows them. Counts above 2^53 are rounded. */
export interface PoolInfo {
  readonly network: string;
  readonly subnet: string;
  /** Decisions made about it so far. */
  readonly version: number;
  readonly voters: readonly PoolHost[];
  /** Whether this host may give out addresses now, and for how many seconds without another renewal. */
  readonly lease: { readonly isHeld: boolean; readonly seconds: number | 'always' };
  readonly shares: readonly ShareInfo[];
  /** Of this host: addresses of endpoints, free ones, and ones that rest after use. */
  readonly here: { readonly used: number; readonly free: number; readonly resting: number };
  /** Addresses that nobody can give out just now, since their owners are away. */
  readonly unreachable: number;
}

export interface PoolHost {
  readonly host: string;
  readonly id: string;
  readonly state: MemberState | 'unknown';
}

export interface ShareInfo extends PoolHost {
  readonly addresses: number;
  /** Of those, where it may give out addresses; the rest returns when its lease has ended. */
  readonly open: number;
  /** First and last address of each range, at most 16 of them. */
  readonly ranges: readonly string[];
}

export interface AuditReport {
  readonly findings: readonly AuditFinding[];
  /** Nothing disagrees: there are notes at most. */
  readonly isClean: boolean;
}

export interface AuditFinding {
  readonly code:
    | 'address-twice'
    | 'address-outside'
    | 'address-reserved'
    | 'address-void'
    | 'address-not-owned'
    | 'address-not-open'
    | 'interface-missing'
    | 'interface-address'
    | 'interface-address-extra'
    | 'interface-bridge'
    | 'interface-unknown'
    | 'lease-lapsed'
    | 'space-unreachable';
  readonly severity: 'error' | 'warning' | 'note';
  /** What is wrong and what to do. */
  readonly sentence: string;
}

/** What a repair would do; the same on every host that has the same rows. */
export interface IpamPlan {
  /** Names what is to be decided; empty if there is nothing. */
  readonly plan: string;
  readonly merges: readonly NetworkMerge[];
  readonly vnis: readonly VniChange[];
  readonly endpoints: readonly EndpointFate[];
}

/** A network whose name an older one has becomes part of that one. */
export interface NetworkMerge {
  readonly network: string;
  readonly id: string;
  readonly subnet: string;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly into: string;
  readonly intoId: string;
  readonly intoSubnet: string;
  readonly intoCreatedBy: string;
  readonly intoCreatedAt: string;
}

/** A network whose VNI an older one has gets another. */
export interface VniChange {
  readonly network: string;
  readonly id: string;
  readonly from: number;
  readonly vni: number;
  /** The older network. */
  readonly owner: string;
}

/** What becomes of an endpoint: it goes to network `to`, with its address or a new one. */
export interface EndpointFate {
  readonly endpoint: string;
  readonly host: string;
  readonly network: string;
  readonly to: string;
  readonly address: string;
  readonly keeps: boolean;
  /** It gets none in its place: the network it goes to has no subnet of that family. */
  readonly drops?: boolean;
  /** Why it can't keep the address. */
  readonly why?: string;
  /** The host that owns the kept address now and gives it to the endpoint's host. */
  readonly from?: string;
}

export interface RepairReport {
  /** What is still to be planned and repaired; empty if nothing. */
  readonly plan: string;
  /** Endpoints that have not moved yet, since their hosts are away or could not get an address. */
  readonly waiting: readonly {
    readonly endpoint: string;
    readonly host: string;
    readonly network: string;
    readonly address: string;
  }[];
}

export interface DetachRequest {
  /** Either an endpoint id (or a unique prefix of 4 or more characters), or network and sandbox. */
  readonly endpoint?: string;
  readonly network?: string;
  readonly netns?: string;
  readonly pid?: number;
}

export interface EndpointInfo {
  readonly endpoint: string;
  readonly network: string;
  /** CIDR: the address with the subnet's prefix length. */
  readonly address: string;
  /** Likewise, if the network has two subnets. */
  readonly address6?: string;
  readonly mac: string;
  readonly ifname: string;
  readonly mtu: number;
  readonly host: string;
  readonly sandbox: string;
  /** What of its host's ports leads to it. */
  readonly ports?: readonly PortRequest[];
  /** Rates that it is held to. */
  readonly bandwidth?: BandwidthRequest;
  /** Whose it is, if whoever made it said so. */
  readonly origin?: string;
  /** The same in short, or what its sandbox tells: `cni 6777e660e6c5`, `docker web`, `pid 4711`, `netns web`. */
  readonly owner?: string;
  /** When it was attached; absent: by an older version. */
  readonly since?: string;
  /** What it is found by in DNS, if it has names. */
  readonly names?: readonly string[];
}

export interface ForeignVtep {
  readonly network: string;
  readonly address: string;
}

export interface VtepInfo extends Traffic {
  readonly network: string;
  readonly address: string;
  /** A mesh member, or one added by `weft vtep add`. */
  readonly origin: 'member' | 'foreign';
  /** Name of the member. */
  readonly peer?: string;
}

export interface FdbInfo {
  readonly mac: string;
  /** `static`: pinned, since the endpoint table says whose it is. */
  readonly origin: 'learned' | 'static';
  /** `port wt-...` or `vtep 192.0.2.2:4789`. */
  readonly target: string;
  readonly ageSeconds: number;
  /** Of a pinned MAC: whose it is. */
  readonly endpoint?: string;
  readonly address?: string;
  readonly address6?: string;
  readonly host?: string;
}

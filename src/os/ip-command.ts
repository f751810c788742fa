/**
 * What Weft asks of ip(8), as values: they are shown to `ip -batch` as one line each, and a test's
 * kernel reads them without parsing text. Names are interface names that were checked before.
 */
export type IpCommand =
  | {
      readonly kind: 'addBridge';
      readonly name: string;
      readonly mac: string;
    }
  | {
      /** Gives a bridge that is there the settings that `addBridge` makes one with. */
      readonly kind: 'setBridge';
      readonly name: string;
    }
  | {
      /** A veth pair: `name` here, `peer.name` in the namespace at `peer.namespace`, or here too. */
      readonly kind: 'addVeth';
      readonly name: string;
      readonly mtu: number;
      readonly peer: {
        readonly name: string;
        readonly namespace?: string;
        readonly mac: string;
        readonly mtu: number;
      };
    }
  | {
      /** A device that hands what is led to it back to where it came from, once its queue lets it. */
      readonly kind: 'addIfb';
      readonly name: string;
    }
  | ({ readonly kind: 'setLink'; readonly name: string } & LinkSettings)
  | {
      /** Of a port of a bridge: whether it is kept from all other ports that are isolated. */
      readonly kind: 'setPort';
      readonly name: string;
      readonly isolated: boolean;
    }
  | { readonly kind: 'deleteLink'; readonly name: string }
  | {
      /**
       * `address` is a CIDR with the host's own bits. IPv6 skips duplicate address detection. One that is
       * `isRouteless` brings no route to its subnet with it (IPv4: Linux 4.18).
       */
      readonly kind: 'addAddress';
      readonly name: string;
      readonly address: string;
      readonly isRouteless?: boolean;
    }
  | { readonly kind: 'deleteAddress'; readonly name: string; readonly address: string }
  | {
      /**
       * A route by the interface, in place of one with the same destination and metric. `destination` is a
       * CIDR without host bits, or `default`, which is of the family of `via`.
       */
      readonly kind: 'setRoute';
      readonly name: string;
      readonly destination: string;
      readonly via: string;
      readonly metric: number;
    };

/** What `setLink` changes; what is not given stays. */
export interface LinkSettings {
  readonly master?: string;
  readonly mtu?: number;
  readonly mac?: string;
  /** Shown by `ip link` as `alias`; no blanks. */
  readonly alias?: string;
  /** `true` brings the link up. */
  readonly up?: true;
}

function settingWords({ master, mtu, mac, alias, up }: LinkSettings): string[] {
  return [
    ...(master === undefined ? [] : ['master', master]),
    ...(mtu === undefined ? [] : ['mtu', String(mtu)]),
    ...(mac === undefined ? [] : ['address', mac]),
    ...(alias === undefined ? [] : ['alias', alias]),
    ...(up === undefined ? [] : ['up']),
  ];
}

/**
 * Without STP, so that ports forward at once, and without multicast snooping, so that every multicast
 * frame reaches the TAP device and with it the other hosts.
 */
const BRIDGE_WORDS = ['type', 'bridge', 'stp_state', '0', 'mcast_snooping', '0'] as const;

/** The words after `ip`. */
export function ipWords(command: IpCommand): string[] {
  const { kind, name } = command;
  switch (kind) {
    case 'addBridge':
      return ['link', 'add', 'name', name, 'address', command.mac, ...BRIDGE_WORDS];
    case 'setBridge':
      return ['link', 'set', 'dev', name, ...BRIDGE_WORDS];
    case 'addVeth':
      return [
        ...['link', 'add', 'name', name, 'mtu', String(command.mtu), 'type', 'veth'],
        ...['peer', 'name', command.peer.name, 'address', command.peer.mac],
        ...['mtu', String(command.peer.mtu)],
        ...(command.peer.namespace === undefined ? [] : ['netns', command.peer.namespace]),
      ];
    case 'addIfb':
      return ['link', 'add', 'name', name, 'type', 'ifb'];
    case 'setLink':
      return ['link', 'set', 'dev', name, ...settingWords(command)];
    case 'setPort': {
      const isolated = command.isolated ? 'on' : 'off';
      return ['link', 'set', 'dev', name, 'type', 'bridge_slave', 'isolated', isolated];
    }
    case 'deleteLink':
      return ['link', 'delete', 'dev', name];
    case 'addAddress':
      return [
        ...['address', 'add', command.address, 'dev', name],
        ...(command.address.includes(':') ? ['nodad'] : []),
        ...(command.isRouteless === true ? ['noprefixroute'] : []),
      ];
    case 'deleteAddress':
      return ['address', 'delete', command.address, 'dev', name];
    case 'setRoute': {
      const { destination, via, metric } = command;
      return ['route', 'replace', destination, 'via', via, 'dev', name, 'metric', String(metric)];
    }
  }
}

function undoOf(command: IpCommand): IpCommand | undefined {
  switch (command.kind) {
    case 'addBridge':
    case 'addVeth':
    case 'addIfb':
      return { kind: 'deleteLink', name: command.name };
    case 'addAddress':
      return { kind: 'deleteAddress', name: command.name, address: command.address };
    case 'setBridge':
    case 'setLink':
    case 'setPort':
    case 'deleteLink':
    case 'deleteAddress':
    case 'setRoute':
      return undefined;
  }
}

/**
 * What takes back `done`, last first. Only what was made can be taken back: a setting of a link that
 * was there before, or a deletion, stays as it is.
 */
export function undoCommands(done: readonly IpCommand[]): IpCommand[] {
  return done
    .map(undoOf)
    .filter((undo) => undo !== undefined)
    .reverse();
}

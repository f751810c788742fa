import { z } from 'zod';
import { AppError } from '../../base/errors.ts';

/*
 * What Docker sends (20.10 to 28), by call. Keys that a newer engine adds are left out; what is there
 * must have the right type. Go writes absent maps and lists as null.
 */
const id = z
  .string()
  .regex(/^[0-9A-Za-z]{1,128}$/, 'expected 1 to 128 letters and digits, as Docker makes them');
const text = z.string().max(4096);
const options = z
  .record(z.string(), z.unknown())
  .nullish()
  .transform((value) => value ?? {});

const ipamData = z.object({
  AddressSpace: text.default(''),
  Pool: text,
  Gateway: text.default(''),
  AuxAddresses: z
    .record(z.string(), text)
    .nullish()
    .transform((value) => value ?? {}),
});
const ipamList = z
  .array(ipamData)
  .nullish()
  .transform((value) => value ?? []);

const nothing = z.looseObject({}).nullish();
const ofNetwork = z.object({ NetworkID: id });
const ofEndpoint = z.object({ NetworkID: id, EndpointID: id });
const network = z.object({
  NetworkID: id,
  Options: options,
  IPv4Data: ipamList,
  IPv6Data: ipamList,
});
const endpoint = z.object({
  NetworkID: id,
  EndpointID: id,
  Interface: z
    .object({
      Address: text.default(''),
      AddressIPv6: text.default(''),
      MacAddress: text.default(''),
    })
    .nullish()
    .transform((value) => value ?? { Address: '', AddressIPv6: '', MacAddress: '' }),
  Options: options,
});
const discovery = z.object({
  DiscoveryType: z.number(),
  DiscoveryData: z.unknown(),
});

export const SCHEMAS = {
  'Plugin.Activate': nothing,

  'NetworkDriver.GetCapabilities': nothing,
  'NetworkDriver.GwAllocCheck': nothing,
  'NetworkDriver.AllocateNetwork': network,
  'NetworkDriver.FreeNetwork': ofNetwork,
  'NetworkDriver.CreateNetwork': network,
  'NetworkDriver.DeleteNetwork': ofNetwork,
  'NetworkDriver.CreateEndpoint': endpoint,
  'NetworkDriver.DeleteEndpoint': ofEndpoint,
  'NetworkDriver.EndpointOperInfo': ofEndpoint,
  'NetworkDriver.Join': z.object({
    ...ofEndpoint.shape,
    SandboxKey: text.min(1),
    Options: options,
  }),
  'NetworkDriver.Leave': ofEndpoint,
  'NetworkDriver.ProgramExternalConnectivity': z.object({ ...ofEndpoint.shape, Options: options }),
  'NetworkDriver.RevokeExternalConnectivity': ofEndpoint,
  'NetworkDriver.DiscoverNew': discovery,
  'NetworkDriver.DiscoverDelete': discovery,

  'IpamDriver.GetCapabilities': nothing,
  'IpamDriver.GetDefaultAddressSpaces': nothing,
  'IpamDriver.RequestPool': z.object({
    AddressSpace: text.default(''),
    Pool: text.default(''),
    SubPool: text.default(''),
    Options: options,
    V6: z.boolean().default(false),
  }),
  'IpamDriver.ReleasePool': z.object({ PoolID: text }),
  'IpamDriver.RequestAddress': z.object({
    PoolID: text,
    Address: text.default(''),
    Options: options,
  }),
  'IpamDriver.ReleaseAddress': z.object({ PoolID: text, Address: text }),
} as const;

export type Method = keyof typeof SCHEMAS;
export type RequestOf<M extends Method> = z.output<(typeof SCHEMAS)[M]>;
export type IpamData = z.output<typeof ipamData>;

export const isMethod = (name: string): name is Method => Object.hasOwn(SCHEMAS, name);

/** E_USAGE names the first thing wrong with it. */
export function parseRequest<M extends Method>(method: M, body: unknown): RequestOf<M> {
  const schema: z.ZodType<RequestOf<M>> = SCHEMAS[method] as never;
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? 'body' : issue.path.join('.');
  const why = issue?.message.replace(/^Invalid (input|string): /, '') ?? 'wrong';
  throw new AppError('E_USAGE', `The request ${method} has a wrong ${where} (${why}).`);
}

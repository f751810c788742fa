import test from 'ava';
import type { AppError } from '../../src/base/errors.ts';
import { isAppError } from '../../src/base/errors.ts';
import { bindEach, type Bound } from '../../src/underlay/bind.ts';

function systemError(code: string): Error {
  return Object.assign(new Error(`bind ${code}`), { code });
}

/** Binds nothing, remembers everything; `refuse` may say no. */
function fakeBinder(refuse: (address: string, port: number) => string | undefined) {
  const open = new Set<string>();
  let nextFree = 40_000;
  const bind = (address: string, wanted: number): Promise<Bound> => {
    const port = wanted === 0 ? nextFree++ : wanted;
    const code = refuse(address, port);
    if (code !== undefined) return Promise.reject(systemError(code));
    const key = `${address} ${port}`;
    open.add(key);
    const close = (): Promise<void> => {
      open.delete(key);
      return Promise.resolve();
    };
    return Promise.resolve({ local: { address, port }, close });
  };
  return { open, bind };
}

async function failure(work: Promise<unknown>): Promise<AppError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (isAppError(error)) return error;
  throw new Error('an AppError was expected', { cause: error });
}

test('all addresses get the one port that the first bind picked', async (t) => {
  const { open, bind } = fakeBinder(() => undefined);
  const bound = await bindEach('UDP', { addresses: ['0.0.0.0', '::'], port: 0 }, bind);
  t.deepEqual(
    bound.map((each) => each.local.port),
    [40_000, 40_000],
  );
  t.deepEqual([...open], ['0.0.0.0 40000', ':: 40000']);
});

test('a picked port that the next address cannot have is given up for another', async (t) => {
  const { open, bind } = fakeBinder((address, port) =>
    address === '::' && port < 40_003 ? 'EADDRINUSE' : undefined,
  );
  const [first] = await bindEach('UDP', { addresses: ['0.0.0.0', '::'], port: 0 }, bind);
  t.is(first.local.port, 40_003);
  t.is(open.size, 2);
});

test('it does not search for a free pair for ever', async (t) => {
  const { open, bind } = fakeBinder((address) => (address === '::' ? 'EADDRINUSE' : undefined));
  const error = await failure(bindEach('UDP', { addresses: ['0.0.0.0', '::'], port: 0 }, bind));
  t.is(error.code, 'E_BIND');
  t.is(open.size, 0);
});

for (const code of ['EAFNOSUPPORT', 'EADDRNOTAVAIL']) {
  test(`without IPv6 (${code}) the IPv6 wildcard is left out`, async (t) => {
    const { bind } = fakeBinder((address) => (address === '::' ? code : undefined));
    const bound = await bindEach('UDP', { addresses: ['0.0.0.0', '::'], port: 7783 }, bind);
    t.deepEqual(
      bound.map((each) => each.local.address),
      ['0.0.0.0'],
    );
  });
}

test('without IPv6 a wildcard that stands alone is an error', async (t) => {
  const { bind } = fakeBinder(() => 'EAFNOSUPPORT');
  const error = await failure(bindEach('UDP', { addresses: ['::'], port: 7783 }, bind));
  t.is(error.code, 'E_BIND');
  t.regex(error.message, /UDP port 7783 on ::.*no such address family/);
});

const sentences: readonly [string, RegExp][] = [
  ['EADDRINUSE', /TCP port 7783 on 192\.0\.2\.1: it is in use.*ss -tlpn/],
  ['EADDRNOTAVAIL', /TCP port 7783 on 192\.0\.2\.1: no interface.*ip address/],
  ['EACCES', /TCP port 7783 on 192\.0\.2\.1: ports under 1024/],
  ['ENOMEM', /TCP port 7783 on 192\.0\.2\.1: the kernel refused it \(ENOMEM\)/],
];
for (const [code, sentence] of sentences) {
  test(`${code} becomes a sentence and leaves nothing bound`, async (t) => {
    const { open, bind } = fakeBinder((address) => (address === '192.0.2.1' ? code : undefined));
    const addresses = ['127.0.0.1', '192.0.2.1'];
    const error = await failure(bindEach('TCP', { addresses, port: 7783 }, bind));
    t.is(error.code, 'E_BIND');
    t.regex(error.message, sentence);
    t.is(open.size, 0);
  });
}

test('what is no address, or no address at all, is refused', async (t) => {
  const { open, bind } = fakeBinder(() => undefined);
  const named = await failure(bindEach('UDP', { addresses: ['::1', 'eth0'], port: 1 }, bind));
  t.is(named.code, 'E_ADDRESS_INVALID');
  t.regex(named.message, /"eth0"/);
  const none = await failure(bindEach('UDP', { addresses: [], port: 1 }, bind));
  t.is(none.code, 'E_BIND');
  t.is(open.size, 0);
});

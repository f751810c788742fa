import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { AppError, ERROR_CODES, errnoOf, isAppError } from '../../src/base/errors.ts';
import { packageRoot } from '../../src/base/package-root.ts';

test('docs/errors.md lists every code once, and no other', (t) => {
  const text = readFileSync(join(packageRoot, 'docs/errors.md'), 'utf8');
  const listed = [...text.matchAll(/^\| `(E_[A-Z_]+)` \| (.+) \| (.+) \|$/gm)].map(
    ([, code]) => code,
  );
  t.deepEqual([...listed].sort(), Object.keys(ERROR_CODES).sort());
});

test('docs/errors.md has each code under the status of its kind', (t) => {
  const text = readFileSync(join(packageRoot, 'docs/errors.md'), 'utf8');
  const statusOfKind = {
    usage: 400,
    missing: 404,
    conflict: 409,
    system: 500,
    remote: 502,
  } as const;
  for (const section of text.split('\n## ').slice(1)) {
    const status = /HTTP (\d+)/.exec(section)?.[1] ?? 'none';
    for (const [, code] of section.matchAll(/^\| `(E_[A-Z_]+)`/gm)) {
      t.is(String(statusOfKind[ERROR_CODES[code as keyof typeof ERROR_CODES]]), status, code);
    }
  }
});

test('isAppError narrows by code; errnoOf reads system errors alone', (t) => {
  const error = new AppError('E_STATE', 'No.', { cause: 1 });
  t.true(isAppError(error));
  t.true(isAppError(error, 'E_BIND', 'E_STATE'));
  t.false(isAppError(error, 'E_BIND'));
  t.false(isAppError(new Error('No.')));
  t.is(error.kind, 'system');
  t.is(errnoOf(Object.assign(new Error(), { code: 'EPERM' })), 'EPERM');
  t.is(errnoOf('EPERM'), undefined);
});

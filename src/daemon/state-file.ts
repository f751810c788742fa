import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { endianness } from 'node:os';
import { AppError, errnoOf } from '../base/errors.ts';

/*
 * LMDB maps its file into memory and believes it: a file that is none of its own, or cut short, would
 * end the process with a signal and no word. This is as much of its format (lmdb-js 3: data version 2,
 * page header of 24 bytes, host byte order) as telling that takes.
 *
 *   page 0 and page 1: | header 24 | magic u32 | version u32 | address u64 | map size u64 |
 *                      | two trees of 48 bytes: the first begins with the page size u32, |
 *                      |   and each ends with the page of its root u64                   |
 *                      | last page u64 | transaction u64 |
 *
 * The roots must be there. The last page need not: one that a transaction took and gave back at once
 * was never written.
 */
const HEADER_BYTES = 24;
const MAGIC = { at: HEADER_BYTES, value: 0xbeefc0de } as const;
const PAGE_SIZE_AT = HEADER_BYTES + 24;
const ROOTS_AT = [PAGE_SIZE_AT + 40, PAGE_SIZE_AT + 48 + 40] as const;
/** The root of an empty tree. */
const NO_PAGE = 2n ** 64n - 1n;
const TRANSACTION_AT = PAGE_SIZE_AT + 2 * 48 + 8;
const META_BYTES = TRANSACTION_AT + 8;

interface Meta {
  readonly pageBytes: number;
  /** The highest page of a root; 0 if both trees are empty. */
  readonly root: number;
  readonly transaction: bigint;
}

function readMeta(fd: number, position: number): Meta | undefined {
  const bytes = Buffer.alloc(META_BYTES);
  if (readSync(fd, bytes, 0, META_BYTES, position) < META_BYTES) return undefined;
  if (bytes.readUInt32LE(MAGIC.at) !== MAGIC.value) return undefined;
  const roots = ROOTS_AT.map((at) => bytes.readBigUInt64LE(at)).filter((page) => page !== NO_PAGE);
  return {
    pageBytes: bytes.readUInt32LE(PAGE_SIZE_AT),
    root: Math.max(0, ...roots.map(Number)),
    transaction: bytes.readBigUInt64LE(TRANSACTION_AT),
  };
}

/** What is wrong with an open state file; undefined if nothing that shows. */
function damageOf(fd: number): string | undefined {
  const { size } = fstatSync(fd);
  if (size === 0) return undefined;
  const first = readMeta(fd, 0);
  const second = first && readMeta(fd, first.pageBytes);
  if (first === undefined || second === undefined) return 'it does not begin as one';
  const { pageBytes, root } = first.transaction > second.transaction ? first : second;
  const needed = (root + 1) * pageBytes;
  return size < needed ? `it has ${size} bytes where at least ${needed} are needed` : undefined;
}

/** Refuses a state file that can't be one, with E_STATE; none, or an empty one, is fine. */
export function checkStateFile(path: string): void {
  // The file is in the host's byte order; a big-endian host goes without this check.
  if (endianness() !== 'LE') return;
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  try {
    const damage = damageOf(fd);
    if (damage === undefined) return;
    throw new AppError(
      'E_STATE',
      `The file ${path} is no state of Weft, or damaged: ${damage}; put a copy in its place, or move it away to start without a memory.`,
    );
  } finally {
    closeSync(fd);
  }
}

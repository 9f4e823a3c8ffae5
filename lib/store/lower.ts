import { closeSync, readSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { openTrusted, removeEntry } from '../files/regular.js';
import { objectFile } from './layout.js';
import type { ObjectKey } from './key.js';

/** A cache that can only be read: its objects count after a check against its records. */
export interface Lower {
  /** Copies an object to a new file. @returns undefined if it isn't there, or not right. */
  copy(key: ObjectKey, target: string): { size: number; sha256: Buffer } | undefined;
  close(): void;
}

const largestRecords = 512 * 1024 * 1024;
const largestObject = 2 ** 31 - 2 ** 16;

type Known = { readonly size: number; readonly sha256: Buffer };

/**
 * Opens one for reading. SQLite can't read its database where it may not write, so that a copy is made.
 * @param at leads to it. @param own leads to a directory of ours.
 */
export function openLower(at: string, own: string): Lower {
  const database = openCopy(at, own);
  const known = database?.prepare<[string], Known>(
    'SELECT size, sha256 FROM objects WHERE key = ?',
  );
  return {
    copy(key, target) {
      const record = known?.get(key);
      const file = record === undefined ? 'missing' : openTrusted(objectFile(at, key));
      if (record === undefined || typeof file === 'string') return undefined;
      try {
        const { fd, status } = file;
        if (status.size !== BigInt(record.size) || record.size > largestObject) return undefined;
        const bytes = readAll(fd, record.size);
        const sha256 = createHash('sha256').update(bytes).digest();
        if (!sha256.equals(record.sha256)) return undefined;
        writeFileSync(target, bytes, { flag: 'wx', mode: 0o444 });
        return { size: bytes.length, sha256 };
      } catch (thrown) {
        removeEntry(target);
        throw thrown;
      } finally {
        closeSync(file.fd);
      }
    },
    close: () => database?.close(),
  };
}

function openCopy(at: string, own: string): Database.Database | undefined {
  try {
    for (const end of ['', '-wal']) {
      const file = openTrusted(join(at, `index.db${end}`));
      if (typeof file === 'string') continue;
      try {
        if (file.status.size > largestRecords) return undefined;
        const bytes = readAll(file.fd, Number(file.status.size));
        writeFileSync(join(own, `lower.db${end}`), bytes, { flag: 'wx', mode: 0o600 });
      } finally {
        closeSync(file.fd);
      }
    }
    return new Database(join(own, 'lower.db'), { fileMustExist: true });
  } catch {
    // As good as empty.
    return undefined;
  }
}

function readAll(fd: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let filled = 0;
  while (filled < size) {
    const count = readSync(fd, bytes, filled, size - filled, filled);
    if (count === 0) break;
    filled += count;
  }
  return bytes.subarray(0, filled);
}

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { PinfsError, type ErrorCode } from '../../format/errors.js';

/**
 * The first pages of a SQLite file, looked at before SQLite does. It reads the whole schema as soon as a
 * file is opened, by a tree of pages that a hostile file can make endless with a few pages that lead
 * to each other, and nothing could stop it then.
 */
export interface PageRules {
  /** What the file is, for messages. */
  readonly subject: string;
  readonly notSqlite: ErrorCode;
  readonly badSchema: ErrorCode;
}

/** The most tables and indexes, and the most bytes of one row of the schema. */
export const schemaEntriesMax = 64;
const schemaRowBytesMax = 9000;

/** Of the header of the file. */
export const headerBytes = 100;
// Types of pages (SQLite file format, 1.6).
const tableInterior = 5;
const tableLeaf = 13;

/**
 * @param file its path, or all of it.
 * @throws PinfsError with the codes of the rules; an error of the file system as it is.
 */
export function checkPages(file: string | Buffer, rules: PageRules): void {
  if (typeof file !== 'string') {
    checkParts(file.length, (at, length) => file.subarray(at, at + length), rules);
    return;
  }
  // A FIFO that was put in its place would wait for its writer.
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants;
  const descriptor = openSync(file, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  try {
    const { size } = fstatSync(descriptor);
    checkParts(size, (at, length) => readPart(descriptor, at, length), rules);
  } finally {
    closeSync(descriptor);
  }
}

function checkParts(
  size: number,
  read: (position: number, length: number) => Buffer,
  rules: PageRules,
): void {
  const pageSize = checkHeader(read(0, headerBytes), size, rules);
  checkSchemaPages({
    rules,
    count: size / pageSize,
    read: (page) => read((page - 1) * pageSize, pageSize),
  });
}

function readPart(descriptor: number, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, readSync(descriptor, bytes, 0, length, position));
}

function refuse(rules: PageRules, code: 'notSqlite' | 'badSchema', what: string): never {
  throw new PinfsError(rules[code], `the ${rules.subject} ${what}`);
}

/** @param header the first bytes of the file. @param size of all of it. @returns the size of a page. @throws PinfsError with the codes of the rules. */
export function checkHeader(header: Buffer, size: number, rules: PageRules): number {
  if (header.length < headerBytes || header.toString('latin1', 0, 16) !== 'SQLite format 3\0')
    refuse(rules, 'notSqlite', 'is not a SQLite database');
  const stored = header.readUInt16BE(16);
  const pageSize = stored === 1 ? 65536 : stored;
  if (pageSize < 512 || (pageSize & (pageSize - 1)) !== 0)
    refuse(rules, 'notSqlite', `has an impossible page size (${stored})`);
  // Opening a file in WAL mode would create files beside it.
  if (header[18] !== 1 || header[19] !== 1)
    refuse(rules, 'badSchema', 'is in write-ahead-log mode, which a published database never is');
  if (header.readUInt32BE(56) !== 1) refuse(rules, 'badSchema', 'does not hold UTF-8 text');
  // The page count is only kept up by newer writers, which show it by two equal change counters.
  const counted = header.readUInt32BE(24) === header.readUInt32BE(92);
  if (size % pageSize !== 0 || (counted && header.readUInt32BE(28) * pageSize > size))
    refuse(rules, 'notSqlite', 'is truncated');
  return pageSize;
}

interface Pages {
  readonly rules: PageRules;
  readonly count: number;
  read(page: number): Buffer;
}

/** The schema is one page, or a page that leads to a few others, none of them twice. */
function checkSchemaPages(pages: Pages): void {
  const { rules } = pages;
  const root = pages.read(1);
  if (root[headerBytes] === tableLeaf) {
    checkSchemaRows(root, headerBytes, rules);
    return;
  }
  if (root[headerBytes] !== tableInterior) damaged(rules);
  const children = childrenOf(root, rules);
  let rows = 0;
  for (const child of children) {
    if (child < 2 || child > pages.count) damaged(rules);
    const page = pages.read(child);
    if (page[0] === tableInterior) tooMany(rules);
    if (page[0] !== tableLeaf) damaged(rules);
    rows += checkSchemaRows(page, 0, rules);
  }
  if (rows > schemaEntriesMax || new Set(children).size < children.length) tooMany(rules);
}

function childrenOf(root: Buffer, rules: PageRules): number[] {
  const cells = cellsOf(root, headerBytes, 12, rules);
  const children = cells.map((cell) => (cell + 4 <= root.length ? root.readUInt32BE(cell) : 0));
  return [...children, root.readUInt32BE(headerBytes + 8)];
}

/** Where the cells of a page lie; the header of the page begins at `at`, its pointers `skip` bytes behind. */
function cellsOf(page: Buffer, at: number, skip: number, rules: PageRules): number[] {
  const count = page.readUInt16BE(at + 3);
  if (count > schemaEntriesMax) tooMany(rules);
  if (at + skip + 2 * count > page.length) damaged(rules);
  return Array.from({ length: count }, (_, index) => page.readUInt16BE(at + skip + 2 * index));
}

/** @returns how many rows there are. */
function checkSchemaRows(page: Buffer, at: number, rules: PageRules): number {
  const cells = cellsOf(page, at, 8, rules);
  for (const cell of cells) {
    // A number in groups of seven bits; three of them hold more than is allowed.
    const [first = 0, second = 0, third = 0] = page.subarray(cell, cell + 3);
    const length =
      first < 128
        ? first
        : second < 128
          ? ((first & 127) << 7) | second
          : ((first & 127) << 14) | ((second & 127) << 7) | third;
    if (length > schemaRowBytesMax) refuse(rules, 'badSchema', 'has a definition that is too long');
  }
  return cells.length;
}

function tooMany(rules: PageRules): never {
  refuse(rules, 'badSchema', 'has too many tables and indexes');
}

function damaged(rules: PageRules): never {
  refuse(rules, 'notSqlite', 'has no schema that could be read');
}

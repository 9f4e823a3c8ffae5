import type { counterNames } from '../../format/catalog-row.js';

/**
 * The tables of a catalog of schema 2.5 revision 7 and of a tag database of schema 1.0 revision 3
 * (docs/format.md, 5.3 and 7). A test compares them with genuine databases.
 */
export const catalogSchema = `
  CREATE TABLE properties (key TEXT, value TEXT, CONSTRAINT pk_properties PRIMARY KEY (key));
  CREATE TABLE catalog (
    md5path_1 INTEGER, md5path_2 INTEGER, parent_1 INTEGER, parent_2 INTEGER,
    hardlinks INTEGER, hash BLOB, size INTEGER, mode INTEGER, mtime INTEGER, mtimens INTEGER,
    flags INTEGER, name TEXT, symlink TEXT, uid INTEGER, gid INTEGER, xattr BLOB,
    CONSTRAINT pk_catalog PRIMARY KEY (md5path_1, md5path_2));
  CREATE INDEX idx_catalog_parent ON catalog (parent_1, parent_2);
  CREATE TABLE chunks (
    md5path_1 INTEGER, md5path_2 INTEGER, offset INTEGER, size INTEGER, hash BLOB,
    CONSTRAINT pk_chunks PRIMARY KEY (md5path_1, md5path_2, offset, size),
    FOREIGN KEY (md5path_1, md5path_2) REFERENCES catalog(md5path_1, md5path_2));
  CREATE TABLE nested_catalogs (
    path TEXT, sha1 TEXT, size INTEGER, CONSTRAINT pk_nested_catalogs PRIMARY KEY (path));
  CREATE TABLE bind_mountpoints (
    path TEXT, sha1 TEXT, size INTEGER, CONSTRAINT pk_bind_mountpoints PRIMARY KEY (path));
  CREATE TABLE statistics (
    counter TEXT, value INTEGER, CONSTRAINT pk_statistics PRIMARY KEY (counter));
`;

export const historySchema = `
  CREATE TABLE properties (key TEXT, value TEXT, CONSTRAINT pk_properties PRIMARY KEY (key));
  CREATE TABLE branches (
    branch TEXT, parent TEXT, initial_revision INTEGER,
    CONSTRAINT pk_branch PRIMARY KEY (branch),
    FOREIGN KEY (parent) REFERENCES branches (branch),
    CHECK ((branch <> '') OR (parent IS NULL)),
    CHECK ((branch = '') OR (parent IS NOT NULL)));
  CREATE TABLE tags (
    name TEXT, hash TEXT, revision INTEGER, timestamp INTEGER, channel INTEGER,
    description TEXT, size INTEGER, branch TEXT,
    CONSTRAINT pk_tags PRIMARY KEY (name),
    FOREIGN KEY (branch) REFERENCES branches (branch));
  CREATE TABLE recycle_bin (
    hash TEXT, flags INTEGER, CONSTRAINT pk_hash PRIMARY KEY (hash));
`;

/** Bits of the column `flags` (docs/format.md, 5.5). */
export const flag = {
  directory: 1,
  mountpoint: 2,
  file: 4,
  symlink: 8,
  special: 16,
  nestedRoot: 32,
  chunked: 64,
  external: 128,
  bind: 0x4000,
  hidden: 0x8000,
  directIo: 0x10000,
} as const;

export const hashFlag = { sha1: 0, rmd160: 0x100, shake128: 0x200 } as const;

export type CatalogCounters = Record<(typeof counterNames)[number], number>;

export function zeroCounters(): CatalogCounters {
  return {
    regular: 0,
    symlink: 0,
    special: 0,
    dir: 0,
    nested: 0,
    chunked: 0,
    chunks: 0,
    file_size: 0,
    chunked_size: 0,
    xattr: 0,
    external: 0,
    external_file_size: 0,
  };
}

import { counterNames } from '../../format/catalog-row.js';
import type { ByteString } from '../../format/bytes.js';
import type { ContentHash } from '../../format/hash.js';
import { readBase, type BaseCatalog, type ReadCatalog } from './base-catalog.js';
import { zeroCounters, type CatalogCounters } from './catalog-schema.js';
import { writeCatalog, type CatalogLink } from './catalog-writer.js';
import { isUnchanged } from './compare.js';
import { emitRows, type NestedDirectory } from './emit-rows.js';
import type { DirectoryNode } from './tree-node.js';

/** What is the same for all catalogs of one revision. */
export interface CatalogSettings {
  /** Seconds since 1970. */
  readonly time: number;
  readonly read: ReadCatalog;
  /** Brings the plain bytes of a catalog into the storage. */
  readonly store: (plain: Buffer) => Promise<ContentHash>;
  /** Of the root catalog, in place of those that it had. */
  readonly properties: Readonly<Record<string, string>>;
  /** The root catalog is written even where nothing has changed. */
  readonly always: boolean;
}

/** A catalog of the new revision. */
export interface PublishedCatalog {
  readonly link: CatalogLink;
  /** Of it and all below; undefined: it is the one that was there, not looked at. */
  readonly counters: CatalogCounters | undefined;
}

export interface PublishedTree {
  readonly root: CatalogLink;
  readonly revision: number;
  readonly counters: CatalogCounters;
  /** How many catalogs are new. */
  readonly written: number;
}

/**
 * Writes the catalogs of a tree, those below first; a catalog that holds what it held before stays.
 * @param base the root catalog that the tree follows.
 */
export async function writeCatalogs(
  root: DirectoryNode,
  base: BaseCatalog | undefined,
  settings: CatalogSettings,
): Promise<PublishedTree> {
  const known = new Map<string, BaseCatalog>();
  const catalogOf = async (link: Pick<CatalogLink, 'path' | 'hash'>): Promise<BaseCatalog> => {
    const key = `${link.path}\0${link.hash}`;
    const catalog = known.get(key) ?? (await readBase(settings.read, link));
    known.set(key, catalog);
    return catalog;
  };
  const writing: Writing = { settings, base, catalogOf, written: 0 };
  const { link, counters } = await publishCatalog(writing, { path: '', node: root });
  return {
    root: link,
    revision: writing.written === 0 ? (base?.revision ?? 0) : nextRevision(base),
    counters: counters ?? totalOf(base),
    written: writing.written,
  };
}

interface Writing {
  readonly settings: CatalogSettings;
  readonly base: BaseCatalog | undefined;
  readonly catalogOf: (link: Pick<CatalogLink, 'path' | 'hash'>) => Promise<BaseCatalog>;
  written: number;
}

function nextRevision(base: BaseCatalog | undefined): number {
  return (base?.revision ?? 0) + 1;
}

function totalOf(base: BaseCatalog | undefined): CatalogCounters {
  const total = zeroCounters();
  if (base === undefined) return total;
  for (const name of counterNames) total[name] = base.self[name] + base.below[name];
  return total;
}

async function publishCatalog(
  writing: Writing,
  { path, node }: NestedDirectory,
): Promise<PublishedCatalog> {
  const { sealed } = node;
  if (node.children === undefined && sealed !== undefined)
    return { link: sealed.link, counters: undefined };
  const below: PublishedCatalog[] = [];
  for (const nested of nestedBelow(path, node)) below.push(await publishCatalog(writing, nested));
  const links = below.map(({ link }) => link);
  const base = await baseAt(writing, path);
  const mustWrite = path === '' && writing.settings.always;
  if (base !== undefined && !mustWrite && (await isUnchanged(base, path, node, links)))
    return { link: { path, hash: base.hash, size: base.size }, counters: totalOf(base) };
  return write(writing, { path, node }, base, below);
}

/** The directories below that begin catalogs of their own, in order. */
function nestedBelow(path: ByteString, node: DirectoryNode): readonly NestedDirectory[] {
  const found: NestedDirectory[] = [];
  const visit = (at: ByteString, directory: DirectoryNode): void => {
    for (const [name, child] of directory.children ?? []) {
      if (child.type !== 'directory' || child.sealed?.kind === 'bind') continue;
      if (child.nested) found.push({ path: `${at}/${name}`, node: child });
      else visit(`${at}/${name}`, child);
    }
  };
  visit(path, node);
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The catalog that begins at this path in the revision before. */
async function baseAt(
  { base, catalogOf }: Writing,
  path: ByteString,
): Promise<BaseCatalog | undefined> {
  let catalog = base;
  while (catalog !== undefined && catalog.path !== path) {
    const next = nearestAbove(catalog.nested, catalog.path, path);
    catalog = next === undefined ? undefined : await catalogOf(next);
  }
  return catalog;
}

/** The nested catalog, of those of one catalog, that a path lies in or begins. */
function nearestAbove(
  nested: ReadonlyMap<ByteString, CatalogLink>,
  from: ByteString,
  path: ByteString,
): CatalogLink | undefined {
  let end = from.length;
  while (end < path.length) {
    const slash = path.indexOf('/', end + 1);
    end = slash < 0 ? path.length : slash;
    const link = nested.get(path.slice(0, end));
    if (link !== undefined) return link;
  }
  return undefined;
}

// What a catalog says of itself anew in each revision.
const ownProperties: ReadonlySet<string> = new Set([
  'schema',
  'schema_revision',
  'last_modified',
  'revision',
  'root_prefix',
  'previous_revision',
]);

async function write(
  writing: Writing,
  { path, node }: NestedDirectory,
  base: BaseCatalog | undefined,
  below: readonly PublishedCatalog[],
): Promise<PublishedCatalog> {
  const { settings } = writing;
  const belowCounters = await countersBelow(writing, base, below);
  const writer = writeCatalog();
  const { counters, binds } = emitRows(path, node, {
    row(values) {
      writer.row(values);
      return true;
    },
    chunk(values) {
      writer.chunk(values);
      return true;
    },
  });
  for (const { link } of below) writer.link('nested_catalogs', link);
  for (const link of binds) writer.link('bind_mountpoints', link);
  writer.counters(counters, belowCounters);
  const kept = [...(path === '' ? (base?.properties ?? []) : [])].filter(
    ([key]) => !ownProperties.has(key) && settings.properties[key] === undefined,
  );
  const properties = new Map([
    ['schema', '2.5'],
    ['schema_revision', '7'],
    ['last_modified', String(settings.time)],
    ['revision', String(nextRevision(base))],
    ...(path === '' ? [] : ([['root_prefix', path]] as const)),
    ...(base === undefined ? [] : ([['previous_revision', base.hash]] as const)),
    ...kept.sort(([a], [b]) => (a < b ? -1 : 1)),
    ...(path === '' ? Object.entries(settings.properties) : []),
  ]);
  for (const [key, value] of properties) writer.property(key, value);
  const bytes = writer.finish();
  const hash = await settings.store(bytes);
  writing.written++;
  const total = zeroCounters();
  for (const name of counterNames) total[name] = counters[name] + belowCounters[name];
  return { link: { path, hash: hash.text, size: bytes.length }, counters: total };
}

/** The counters of all catalogs below together; those that stay as they were are not opened for it. */
async function countersBelow(
  writing: Writing,
  base: BaseCatalog | undefined,
  below: readonly PublishedCatalog[],
): Promise<CatalogCounters> {
  const isKept = ({ link }: PublishedCatalog): boolean =>
    base?.nested.get(link.path)?.hash === link.hash;
  const kept = new Set(below.filter(isKept).map(({ link }) => link.path));
  const gone = [...(base?.nested.values() ?? [])].filter(({ path }) => !kept.has(path));
  const counters = zeroCounters();
  const add = (more: CatalogCounters, sign: 1 | -1): void => {
    for (const name of counterNames) counters[name] += sign * more[name];
  };
  const isLess = base !== undefined && gone.length < kept.size;
  if (isLess) {
    add(base.below, 1);
    for (const link of gone) add(totalOf(await writing.catalogOf(link)), -1);
  }
  for (const one of below) {
    if (isLess && kept.has(one.link.path)) continue;
    add(one.counters ?? totalOf(await writing.catalogOf(one.link)), 1);
  }
  return counters;
}

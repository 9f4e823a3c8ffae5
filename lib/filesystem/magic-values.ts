import { errno } from '../format/errno.js';
import { fromText, type ByteString } from '../format/bytes.js';
import { readAllOf } from '../store/run.js';
import type { Shelf } from '../store/shelf.js';
import { hitRate } from '../store/cache/counted.js';
import { done, type Outcome, andThen, failure, sizeLimits } from '../store/want.js';
import type { Content } from '../format/catalog-row.js';
import { wholeWant } from '../tree/content.js';
import type { Entry } from '../tree/entry.js';
import type { CatalogInfo, Tree } from '../tree/tree.js';
import type { LiveFacts } from './live-facts.js';
import type { Identity } from './snapshot-descriptor.js';

export interface MagicContext {
  readonly tree: Tree;
  readonly shelf: Shelf;
  readonly identity: Identity;
  readonly live: () => LiveFacts;
}

/** Value of one magic attribute for an entry; ENODATA where it has none. */
export type MagicValue = (context: MagicContext, entry: Entry) => Outcome<ByteString>;

const none = failure(errno.ENODATA);

/** No proxy is ever used yet: what is asked goes to the source itself. */
const direct: MagicValue = () => done('DIRECT');

function ofIdentity(value: (identity: Identity) => string): MagicValue {
  return ({ identity }) => done(fromText(value(identity)));
}

function ofFacts(value: (facts: LiveFacts) => string | number): MagicValue {
  return ({ live }) => done(fromText(String(value(live()))));
}

/** Attributes of every path, listed on the root. Meanings: docs/format.md, 9.4. */
export const globalValues: ReadonlyMap<string, MagicValue> = new Map<string, MagicValue>([
  ['fqrn', ofIdentity((it) => it.fqrn)],
  ['revision', ofIdentity((it) => String(it.revision))],
  ['root_hash', ofIdentity((it) => it.rootHash)],
  ['tag', ofIdentity((it) => it.tag ?? '')],
  ['host', ofIdentity((it) => it.sourceLabel)],
  ['host_list', ofIdentity((it) => it.sourceLabel)],
  ['proxy', direct],
  ['proxy_list', direct],
  ['proxy_list_external', direct],
  ['external_host', externalHost],
  ['timeout', ofFacts((it) => it.connectTimeout)],
  ['timeout_direct', ofFacts((it) => it.connectTimeout)],
  ['external_timeout', ofFacts((it) => it.connectTimeout)],
  ['pinfs.trust', trust],
  ['expires', expires],
  ['revision_timestamp', ({ tree }) => done(String(tree.properties.lastModified))],
  ['logbuffer', ofFacts((it) => it.log)],
  ['maxfd', ofFacts((it) => it.filesMax)],
  ['usedfd', ofFacts((it) => it.filesOpen)],
  // No descriptor is held for an open directory, and what was evicted on one day isn't counted.
  ['inode_max', ofIdentity((it) => (it.inodeBits === 32 ? '4294967294' : '9223372036854775807'))],
  ['useddirp', () => done('0')],
  ['ncleanup24', () => done('-1')],
  ['version', ofFacts((it) => it.version)],
  ['pid', ofFacts((it) => it.pid)],
  ['uptime', ofFacts((it) => Math.floor(it.uptime / 60))],
  ['nclg', ({ tree }) => done(String(tree.statistics.catalogsOpen))],
  ['nopen', ofFacts((it) => it.opens)],
  ['ndiropen', ofFacts((it) => it.directoryOpens)],
  ['ndownload', ofFacts((it) => it.downloads)],
  ['nioerr', ofFacts((it) => it.errors)],
  ['timestamp_last_ioerr', ofFacts((it) => Math.floor(it.lastError))],
  ['hitrate', ofFacts(hitPercent)],
  ['rx', ofFacts((it) => Math.floor(it.received / 1024))],
  ['speed', ofFacts(speed)],
  ['pubkeys', ofFacts((it) => it.publicKeys)],
  ['repo_counters', ({ tree }) => andThen(tree.catalogOf(tree.root), (it) => done(counters(it)))],
  ['catalog_counters', catalogCounters],
  ['authz', authz],
  ['repo_metainfo', metainfo],
]);

/** Attributes that belong to the entry itself. */
export const entryValues: ReadonlyMap<string, MagicValue> = new Map<string, MagicValue>([
  ['lhash', localHash],
  ['hash', (_, { content }) => (content?.hash === undefined ? none : done(content.hash.text))],
  ['chunks', chunkCount],
  ['chunk_list', chunkList],
  ['compression', (_, entry) => ofContent(entry, (content) => content.compression)],
  ['external_url', externalUrl],
  ['external_file', (_, entry) => ofContent(entry, (content) => (content.external ? '1' : '0'))],
  ['direct_io', (_, entry) => ofContent(entry, () => (entry.directIo ? '1' : '0'))],
  ['rawlink', (_, entry) => (entry.type === 'symlink' ? done(entry.rawTarget) : none)],
]);

function ofContent(entry: Entry, value: (content: Content) => string): Outcome<ByteString> {
  return entry.content === undefined ? none : done(value(entry.content));
}

/** The last verdict on this snapshot; whoever still stands in one that was replaced is shown its own. */
function trust({ identity, live }: MagicContext): Outcome<ByteString> {
  const last = live().trust;
  return done(fromText(last?.rootHash === identity.rootHash ? last.verdict : identity.trust));
}

function externalHost({ identity }: MagicContext): Outcome<ByteString> {
  return identity.externalLabel === undefined ? none : done(fromText(identity.externalLabel));
}

/** Where the content of an external file is fetched, as far as anybody said where that is. */
function externalUrl({ identity }: MagicContext, { content }: Entry): Outcome<ByteString> {
  const path = content?.external === true ? content.externalPath : undefined;
  if (path === undefined || identity.externalLabel === undefined) return none;
  return done(fromText(identity.externalLabel).replace(/\/+$/, '') + path);
}

function expires({ identity, live }: MagicContext): Outcome<ByteString> {
  const left = live().ttlLeft;
  if (identity.pinned || left === undefined) return done('never (fixed root catalog)');
  return done(String(Math.max(0, Math.floor(left / 60))));
}

function hitPercent(facts: LiveFacts): string {
  const rate = hitRate(facts);
  return rate === undefined ? 'n/a' : (100 * rate).toFixed(3);
}

function speed({ received, receivingTime }: LiveFacts): string {
  if (receivingTime <= 0) return 'n/a';
  return String(Math.floor(received / 1024 / (receivingTime / 1000)));
}

/** What the repository's owner says of it: an object that the signed manifest names. */
function metainfo({ identity, shelf }: MagicContext): Outcome<ByteString> {
  const hash = identity.metainfo;
  if (hash === undefined) return none;
  const want = {
    object: { hash, kind: 'metainfo' },
    compression: 'zlib',
    size: { kind: 'limit', bytes: sizeLimits.metainfo },
    path: '',
  } as const;
  return andThen(readAllOf(shelf, want), (bytes) => done(bytes.toString('latin1')));
}

/** The hash under which the cache has the whole file, as it was verified; it is fetched by no such question. */
function localHash({ shelf }: MagicContext, entry: Entry): Outcome<ByteString> {
  const want = entry.content === undefined ? undefined : wholeWant(entry, entry.content);
  if (want === undefined || entry.content?.chunked === true) return none;
  return done(shelf.isRecorded?.(want) === true ? want.object.hash.text : 'Not in cache');
}

function authz({ tree }: MagicContext): Outcome<ByteString> {
  const required = tree.properties.vomsAuthz;
  return required === undefined ? none : done(fromText(required));
}

const counterNames = [
  'chunked',
  'chunked_size',
  'chunks',
  'dir',
  'external',
  'external_file_size',
  'file_size',
  'nested',
  'regular',
  'special',
  'symlink',
  'xattr',
];

function counters(catalog: CatalogInfo): ByteString {
  return counterNames
    .map((name) => {
      const { self, subtree } = catalog.counters.get(name) ?? { self: 0n, subtree: 0n };
      return `${name},${self + subtree}\n`;
    })
    .join('');
}

function catalogCounters({ tree }: MagicContext, entry: Entry): Outcome<ByteString> {
  return andThen(tree.catalogOf(entry.node), (catalog) =>
    done(
      `catalog_hash: ${catalog.want.object.hash.text}\n` +
        `catalog_mountpoint: ${catalog.mountpoint}\n${counters(catalog)}`,
    ),
  );
}

function chunkCount({ tree }: MagicContext, entry: Entry): Outcome<ByteString> {
  if (entry.content === undefined) return none;
  if (!entry.content.chunked) return done('1');
  return andThen(tree.chunks(entry.node), (chunks) => done(String(chunks.length)));
}

function chunkList({ tree }: MagicContext, entry: Entry): Outcome<ByteString> {
  const { content } = entry;
  if (content === undefined) return none;
  const header = 'hash,offset,size\n';
  if (!content.chunked) {
    return done(`${header}${content.hash?.text ?? ''},0,${entry.size}\n`);
  }
  return andThen(tree.chunks(entry.node), (chunks) =>
    done(header + chunks.map((it) => `${it.object.hash.text},${it.offset},${it.size}\n`).join('')),
  );
}

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import type { ByteString } from '../format/bytes.js';
import type { ContentHash, HashAlgorithm } from '../format/hash.js';
import { testCertificate, testMasterKey, type SigningCertificate } from './keys.js';
import { makeCatalog, type MadeCatalog } from './catalog.js';
import { makeObjects, type Objects } from './objects.js';
import { historySchema } from './catalogs/catalog-schema.js';
import {
  fingerprint,
  rootPathHash,
  signManifest,
  signWhitelist,
  whitelistLines,
} from './signing.js';
import type { RepositorySpec, RevisionSpec, TreeSpec } from './spec.js';

export * from './spec.js';
export * from './signing.js';
export type { MadeCatalog } from './catalog.js';

export interface MadeTag {
  readonly name: string;
  readonly hash: ContentHash;
  readonly revision: number;
  readonly time: number;
  readonly description: string;
  readonly size: number;
}

export interface MadeRevision {
  readonly revision: number;
  readonly time: number;
  readonly rootHash: ContentHash;
  /** The signed manifest of that time, and its lines to be changed and signed again. */
  readonly manifest: Buffer;
  readonly manifestLines: readonly string[];
  readonly tags: readonly MadeTag[];
  /** By mountpoint; '' is the root catalog. */
  readonly catalogs: ReadonlyMap<ByteString, MadeCatalog>;
}

export interface MadeRepository {
  readonly fqrn: string;
  readonly algorithm: HashAlgorithm;
  /** Everything below the repository's URL, by path. Tests may change it. */
  readonly files: Map<string, Buffer>;
  /** Content of external files, by path in the repository (`/a/b`). */
  readonly external: Map<ByteString, Buffer>;
  /** PEM of the public master key. */
  readonly masterKey: string;
  readonly revisions: readonly MadeRevision[];
  /** The newest revision, the one in `.cvmfspublished`. */
  readonly head: MadeRevision;
  /** Writes all files below `directory`/fqrn. @returns that directory. */
  writeTo(directory: string): string;
}

const daySeconds = 86_400;
const firstDay = Date.UTC(2020, 0, 1) / 1000;

/** Makes a repository: all its revisions, signed; the manifest is that of the last one. */
export function makeRepository(spec: RepositorySpec): MadeRepository {
  const fqrn = spec.fqrn ?? 'made.example.org';
  const algorithm = spec.algorithm ?? 'sha1';
  const master = spec.master ?? testMasterKey;
  const certificate = spec.certificate ?? testCertificate;
  const files = new Map<string, Buffer>();
  const external = new Map<ByteString, Buffer>();
  const publisher: Publisher = {
    spec: { ...spec, fqrn },
    certificate,
    objects: makeObjects(algorithm, files),
    external,
    tags: new Map(),
    made: [],
  };
  for (const revision of spec.revisions) publish(publisher, revision);
  const { made } = publisher;
  const head = made.at(-1);
  if (head === undefined) throw new Error('a repository needs a revision');
  const lines = whitelistLines(fqrn, [fingerprint(certificate.certificate, algorithm)]);
  files.set('.cvmfspublished', head.manifest);
  files.set('.cvmfswhitelist', signWhitelist(lines, algorithm, master));
  return {
    fqrn,
    algorithm,
    files,
    external,
    masterKey: master.publicKey,
    revisions: made,
    head,
    writeTo: (directory) => writeFiles(join(directory, fqrn), files),
  };
}

/** A repository of one revision with this tree and the tag `v1`. */
export function makeSmallRepository(
  tree: TreeSpec,
  more: Omit<RepositorySpec, 'revisions'> = {},
): MadeRepository {
  return makeRepository({ ...more, revisions: [{ tree, tags: { v1: 'the only one' } }] });
}

interface Publisher {
  readonly spec: RepositorySpec & { readonly fqrn: string };
  readonly certificate: SigningCertificate;
  readonly objects: Objects;
  readonly external: Map<ByteString, Buffer>;
  readonly tags: Map<string, MadeTag>;
  readonly made: MadeRevision[];
}

function publish(publisher: Publisher, spec: RevisionSpec): void {
  const { objects, made, tags } = publisher;
  const { fqrn, ttl } = publisher.spec;
  const before = made.at(-1);
  const revision = made.length + 1;
  const time = spec.time ?? (before === undefined ? firstDay : before.time + daySeconds);
  const catalogs = new Map<ByteString, MadeCatalog>();
  const earlier = made.flatMap((one) => one.catalogs.get('') ?? []);
  const context = { objects, external: publisher.external, time, revision, earlier, catalogs };
  const { tree, root, sql, patch, object } = spec;
  const damage = {
    ...(sql === undefined ? {} : { sql }),
    ...(patch === undefined ? {} : { patch }),
    ...(object === undefined ? {} : { object }),
  };
  const rootCatalog = makeCatalog(
    context,
    '',
    { type: 'directory', entries: tree, ...root, ...damage },
    {
      TTL: String(ttl ?? 240),
      ...(before === undefined ? {} : { previous_revision: before.rootHash.text }),
      ...spec.properties,
    },
  );
  const tag = (name: string, description: string): void => {
    const { hash, size } = rootCatalog;
    tags.set(name, { name, hash, revision, time, description, size });
  };
  for (const [name, description] of Object.entries(spec.tags ?? {})) tag(name, description);
  const trunk = tags.get('trunk');
  if (trunk !== undefined) {
    tags.set('trunk-previous', {
      ...trunk,
      name: 'trunk-previous',
      description: 'default undo target',
    });
  }
  tag('trunk', 'current HEAD');
  const history = objects.add('history', makeHistory(fqrn, [...tags.values()], spec.historySql));
  const manifestLines = [
    `C${rootCatalog.hash.text}`,
    `B${rootCatalog.size}`,
    `R${rootPathHash}`,
    `D${ttl ?? 240}`,
    `S${revision}`,
    'Gno',
    'Ano',
    `N${fqrn}`,
    `X${objects.add('certificate', Buffer.from(publisher.certificate.certificate)).text}`,
    `H${history.text}`,
    `T${time}`,
    `M${objects.add('metainfo', Buffer.from('{}')).text}`,
  ];
  made.push({
    revision,
    time,
    rootHash: rootCatalog.hash,
    manifest: signManifest(manifestLines, objects.algorithm, publisher.certificate),
    manifestLines,
    tags: [...tags.values()],
    catalogs,
  });
}

function makeHistory(fqrn: string, tags: readonly MadeTag[], sql: string | undefined): Buffer {
  const db = new Database(':memory:');
  db.exec(historySchema);
  const property = db.prepare('INSERT INTO properties VALUES (?, ?)');
  property.run('schema', '1.0');
  property.run('schema_revision', '3');
  property.run('fqrn', fqrn);
  db.exec("INSERT INTO branches VALUES ('', NULL, 0)");
  const row = db.prepare("INSERT INTO tags VALUES (?, ?, ?, ?, 0, ?, ?, '')");
  for (const { name, hash, revision, time, description, size } of tags) {
    row.run(name, hash.text, revision, time, description, size);
  }
  if (sql !== undefined) db.exec(sql);
  const bytes = db.serialize();
  db.close();
  return bytes;
}

/** Writes files by path below a directory. @returns the directory. */
export function writeFiles(directory: string, files: ReadonlyMap<string, Buffer>): string {
  const made = new Set<string>();
  for (const [path, bytes] of files) {
    const target = join(directory, path);
    const folder = dirname(target);
    if (!made.has(folder)) mkdirSync(folder, { recursive: true });
    made.add(folder);
    writeFileSync(target, bytes);
  }
  return directory;
}

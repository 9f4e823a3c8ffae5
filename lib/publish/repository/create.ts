import type { KeyObject } from 'node:crypto';
import { parseCertificate } from '../../format/certificate.js';
import { PinfsError } from '../../format/errors.js';
import type { ContentHash, HashAlgorithm } from '../../format/hash.js';
import { writeCatalog } from '../catalogs/catalog-writer.js';
import { emitRows } from '../catalogs/emit-rows.js';
import { directoryNode, plainAttributes } from '../catalogs/tree-node.js';
import { zeroCounters } from '../catalogs/catalog-schema.js';
import type { ObjectWriter } from '../objects/content.js';
import { commitHead } from '../revision/commit.js';
import type { Storage } from '../storage/storage.js';
import { makeWhitelist } from './whitelist.js';

export interface CreateRequest {
  readonly fqrn: string;
  /** Whoever calls holds its lock. */
  readonly storage: Storage;
  readonly writer: ObjectWriter;
  readonly algorithm: HashAlgorithm;
  readonly signingKey: KeyObject;
  readonly masterKey: KeyObject;
  readonly now: Date;
  /** How long the whitelist counts. */
  readonly days: number;
  /** Replicas are told that old revisions may vanish. */
  readonly collectable: boolean;
}

/** The time to live of a root catalog that says nothing of it (seconds). */
const usualTtl = 240;

/**
 * Makes a repository with an empty tree. The manifest comes last: before it there is none, and it can be begun anew.
 * @throws PinfsError REPOSITORY_EXISTS, STORAGE_…
 */
export async function createRepository(request: CreateRequest): Promise<ContentHash> {
  const { fqrn, storage, writer, algorithm, signingKey, now, collectable } = request;
  await refuseExisting(storage);
  const { makeSigningCertificate } = await import('./certificate.js');
  const pem = Buffer.from(await makeSigningCertificate(fqrn, signingKey, now));
  const certificate = parseCertificate(pem);
  if (certificate instanceof PinfsError) throw certificate;
  const time = Math.floor(now.getTime() / 1000);
  const catalog = emptyRoot(time);
  const root = {
    hash: await writer.storeBytes('catalog', catalog),
    revision: 0,
    timestamp: time,
    size: catalog.length,
  };
  const facts = { fqrn, algorithm, now, certificates: [certificate], days: request.days };
  await storage.write('.cvmfswhitelist', makeWhitelist(facts, request.masterKey));
  await storage.write('.cvmfs_status.json', Buffer.from('{}\n'));
  // Its presence permits replicas.
  await storage.write('.cvmfs_master_replica', Buffer.alloc(0));
  // Of a creation that ended before its manifest.
  await storage.remove('.cvmfsreflog');
  const tag = { name: 'trunk', channel: 0, description: 'empty repository', branch: '' };
  const tags = [{ ...tag, ...root, hash: root.hash.text }];
  await commitHead(
    { fqrn, storage, writer, key: signingKey, time },
    {
      manifest: {
        ttl: usualTtl,
        collectable,
        published: 0,
        certificate: await writer.storeBytes('certificate', pem),
        metainfo: await writer.storeBytes('metainfo', Buffer.from('{}')),
      },
      version: undefined,
      history: { tags: [], branches: [], properties: new Map() },
      reflog: undefined,
    },
    {
      root: { ...root, hash: root.hash.text },
      history: { tags, branches: [], properties: new Map() },
    },
  );
  return root.hash;
}

/** @throws PinfsError REPOSITORY_EXISTS */
export async function refuseExisting(storage: Storage): Promise<void> {
  if (!(await storage.has('.cvmfspublished'))) return;
  throw new PinfsError('REPOSITORY_EXISTS', `there is a repository in ${storage.name} already`, {
    advice: 'Publish to it, or name another storage.',
  });
}

/** The catalog of revision 0, which is the only one with no revision before it (docs/format.md, 5.13). */
function emptyRoot(time: number): Buffer {
  const writer = writeCatalog();
  const { counters } = emitRows('', directoryNode(plainAttributes(0o755, time)), {
    row(values) {
      writer.row(values);
      return true;
    },
    chunk: () => true,
  });
  writer.counters(counters, zeroCounters());
  const properties = {
    schema: '2.5',
    schema_revision: '7',
    revision: '0',
    last_modified: String(time),
  };
  for (const [key, value] of Object.entries(properties)) writer.property(key, value);
  return writer.finish();
}

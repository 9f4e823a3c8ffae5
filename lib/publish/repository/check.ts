import type { KeyObject } from 'node:crypto';
import { PinfsError } from '../../format/errors.js';
import { hashBytes } from '../../format/hash.js';
import type { Manifest } from '../../format/manifest.js';
import { isExpired } from '../../format/whitelist.js';
import { historyOf } from '../revision/history.js';
import type { Storage } from '../storage/storage.js';
import { mirroredList, readNotes } from '../storage/own-notes.js';
import { isOwnReflog, readReflog } from '../storage/own-reflog.js';
import { checkOwnHead, readStoredHead } from './head.js';
import {
  lookAt,
  note,
  readPlain,
  startWalk,
  walkCatalog,
  type RepositoryProblem,
  type Walk,
} from './walk.js';

export interface CheckRequest {
  readonly fqrn: string;
  readonly storage: Storage;
  /** Undefined: nothing vouches for the whitelist. */
  readonly masterKey: KeyObject | undefined;
  readonly now: Date;
  /** Where what is missing or damaged comes from. */
  readonly fetch?: ((path: string) => Promise<Buffer>) | undefined;
  readonly progress?: (walk: Walk) => void;
}

export interface RepositoryReport {
  readonly objects: number;
  readonly bytes: number;
  readonly mended: number;
  /** Objects that nothing reaches, and their bytes. */
  readonly orphans: number;
  readonly orphanBytes: number;
  readonly problems: readonly RepositoryProblem[];
}

/**
 * Looks at all that the newest revision and every tag reach, byte for byte, at signatures, counters and reflog; with a
 * source, brings what is wrong. @throws PinfsError where there is no repository
 */
export async function checkRepository(request: CheckRequest): Promise<RepositoryReport> {
  const { storage, fqrn, fetch, progress } = request;
  const walk = startWalk(storage, {
    reads: true,
    ...(fetch === undefined ? {} : { fetch }),
    ...(progress === undefined ? {} : { progress }),
  });
  await walkRoots(walk, fqrn, request.masterKey, request.now);
  let orphans = 0;
  let orphanBytes = 0;
  for await (const { path, size } of storage.list('data/')) {
    if (walk.reached.has(path)) continue;
    orphans++;
    orphanBytes += size;
  }
  const { reached, bytes, mended, problems } = walk;
  return { objects: reached.size, bytes, mended, orphans, orphanBytes, problems };
}

/** Walks over the newest revision and every tag, with what the manifest names. @returns the manifest */
export async function walkRoots(
  walk: Walk,
  fqrn: string,
  masterKey: KeyObject | undefined,
  now: Date,
): Promise<Manifest> {
  const head = await readStoredHead(walk.storage, fqrn);
  const { manifest, whitelist } = head;
  try {
    if (masterKey !== undefined) checkOwnHead(head, masterKey);
    if (isExpired(whitelist, now)) {
      throw new PinfsError('WHITELIST_EXPIRED', `the whitelist expired: ${whitelist.expires}`);
    }
  } catch (thrown) {
    note(walk, '.cvmfspublished', thrown);
  }
  const { certificate, metainfo, history, reflog } = manifest;
  if (certificate !== undefined) await lookAt(walk, { kind: 'certificate', hash: certificate });
  if (metainfo !== undefined) await lookAt(walk, { kind: 'metainfo', hash: metainfo });
  if (reflog !== undefined) {
    const bytes = await readReflog(walk.storage);
    const isRight =
      bytes !== undefined &&
      (hashBytes(reflog.algorithm, bytes).text === reflog.text ||
        (await isOwnReflog(walk.storage, manifest.rootHash.algorithm, bytes)));
    if (!isRight) {
      const text = '.cvmfsreflog is not the one that the manifest names';
      note(walk, '.cvmfsreflog', new PinfsError('REFLOG_MALFORMED', text));
    }
  }
  await walkCatalog(walk, manifest.rootHash.text);
  if (history === undefined) return manifest;
  const plain = await readPlain(walk, { kind: 'history', hash: history });
  if (plain === undefined) return manifest;
  // A mirror may have some of them only.
  const mirrored = await readNotes(walk.storage, mirroredList);
  for (const { hash } of historyOf(plain, fqrn).tags)
    if (mirrored?.includes(hash) !== false) await walkCatalog(walk, hash);
  return manifest;
}

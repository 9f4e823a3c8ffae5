import { existsSync, readFileSync } from 'node:fs';
import { emptyBlacklist, type Blacklist } from '../format/blacklist.js';
import { PinfsError } from '../format/errors.js';
import { objectPath } from '../format/hash.js';
import { parseManifest } from '../format/manifest.js';
import { judgeHead, type Evidence, type Judgement } from '../trust/judge/judge.js';
import { loadKeys } from '../trust/files/keys.js';
import type { SeenHead } from '../trust/memory/seen-facts.js';

/* Judging heads that lie in files, for tests. */

const missing = new PinfsError('OBJECT_MISSING', 'not there');

/** Evidence, where `read` gives a file of the repository if it has it. */
export function gather(read: (path: string) => Buffer | undefined): Evidence {
  const manifest = read('.cvmfspublished') ?? missing;
  const parsed = manifest instanceof PinfsError ? manifest : parseManifest(manifest);
  const hash = parsed instanceof PinfsError ? undefined : parsed.certificate;
  return {
    manifest,
    whitelist: read('.cvmfswhitelist') ?? missing,
    certificate: hash && (read(objectPath({ hash, kind: 'certificate' })) ?? missing),
  };
}

export interface Judged {
  readonly fqrn: string;
  readonly keys: readonly string[];
  readonly at: string;
  readonly blacklist?: Blacklist;
  readonly seen?: SeenHead;
}

export function judge(evidence: Evidence, context: Judged): Judgement {
  const { fqrn, at, blacklist = emptyBlacklist, seen } = context;
  const keys = loadKeys({ given: context.keys, fqrn, env: {} });
  const now = new Date(at);
  return judgeHead(evidence, {
    fqrn,
    keys,
    now,
    trustAt: undefined,
    blacklist,
    seen,
    weakKey: false,
  });
}

export function readIfThere(path: string): Buffer | undefined {
  return existsSync(path) ? readFileSync(path) : undefined;
}

/** What the memory of a machine would hold of a head. */
export function seenOf(judgement: Judgement): SeenHead {
  const { manifest, verdict } = judgement;
  if (manifest === undefined) throw new Error('no manifest');
  return {
    revision: manifest.revision,
    published: manifest.published,
    rootHash: manifest.rootHash.text,
    rootSize: manifest.rootSize,
    historyHash: manifest.history?.text,
    verdict,
  };
}

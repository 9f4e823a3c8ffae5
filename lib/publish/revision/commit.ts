import type { KeyObject } from 'node:crypto';
import { PinfsError } from '../../format/errors.js';
import { hashBytes, parseHash, type ContentHash } from '../../format/hash.js';
import { emptyPathHash, type Manifest } from '../../format/manifest.js';
import type { ObjectWriter } from '../objects/content.js';
import { signLines } from '../envelope.js';
import { noteReflogs } from '../storage/own-reflog.js';
import type { Storage } from '../storage/storage.js';
import { writeHistory, type History, type TaggedRoot } from './history.js';
import { extendReflog } from './reflog.js';

/** Where a revision goes, and what signs it. */
export interface Publication {
  readonly fqrn: string;
  readonly storage: Storage;
  readonly writer: ObjectWriter;
  readonly key: KeyObject;
  /** Seconds since 1970. */
  readonly time: number;
}

/** The head that a new one follows; of the first one there is only what it is to say. */
export interface HeadBefore {
  readonly manifest: Pick<
    Manifest,
    'ttl' | 'collectable' | 'published' | 'certificate' | 'metainfo'
  >;
  /** Of the manifest, to replace just this one; undefined: there is none. */
  readonly version: string | undefined;
  readonly history: History;
  readonly reflog: { readonly bytes: Buffer; readonly version: string } | undefined;
}

export interface NewHead {
  readonly root: TaggedRoot;
  readonly history: History;
}

/**
 * Makes a new head the one that clients see. All objects that it names are in the storage by then. The manifest comes
 * last, and only over the one that this head follows: before it, nobody sees anything.
 * @throws PinfsError STORAGE_BUSY: somebody else published meanwhile.
 */
export async function commitHead(
  publication: Publication,
  head: HeadBefore,
  next: NewHead,
): Promise<void> {
  const { fqrn, storage, writer, time } = publication;
  const { certificate, metainfo } = head.manifest;
  const bytes = writeHistory(fqrn, next.history, head.history.hash);
  const history = await writer.storeBytes('history', bytes);
  const reflog = extendReflog(
    head.reflog?.bytes,
    fqrn,
    [
      { kind: 'catalog', hash: next.root.hash },
      ...(certificate === undefined
        ? []
        : [{ kind: 'certificate', hash: certificate.text } as const]),
      { kind: 'history', hash: history.text },
      ...(metainfo === undefined ? [] : [{ kind: 'metainfo', hash: metainfo.text } as const]),
    ],
    time,
  );
  await noteReflogs(storage, algorithmOf(next.root.hash), head.reflog?.bytes, reflog);
  await replace(storage, '.cvmfsreflog', reflog, head.reflog?.version);
  const lines = manifestLines(publication, head.manifest, next.root, {
    history,
    reflog: hashBytes(algorithmOf(next.root.hash), reflog),
  });
  const manifest = signLines(lines, algorithmOf(next.root.hash), publication.key);
  await replace(storage, '.cvmfspublished', manifest, head.version);
}

async function replace(
  storage: Storage,
  path: string,
  bytes: Buffer,
  version: string | undefined,
): Promise<void> {
  const only = version === undefined ? 'absent' : { version };
  if ((await storage.write(path, bytes, only)) === 'written') return;
  throw new PinfsError('STORAGE_BUSY', `somebody else published to ${storage.name} meanwhile`, {
    advice: 'Nothing of this revision is seen. Publish again: it then follows the other one.',
  });
}

function algorithmOf(hash: string): ContentHash['algorithm'] {
  return parseHash(hash)?.algorithm ?? 'sha1';
}

/** The lines of a manifest in the order of the reference (docs/format.md, 3.2). */
function manifestLines(
  { fqrn, time }: Publication,
  before: HeadBefore['manifest'],
  root: TaggedRoot,
  { history, reflog }: { readonly history: ContentHash; readonly reflog: ContentHash },
): string[] {
  return [
    `C${root.hash}`,
    `B${root.size}`,
    `R${emptyPathHash}`,
    `D${before.ttl}`,
    `S${root.revision}`,
    `G${before.collectable ? 'yes' : 'no'}`,
    'Ano',
    `N${fqrn}`,
    ...(before.certificate === undefined ? [] : [`X${before.certificate.text}`]),
    `H${history.text}`,
    // Clients refuse a head that is older than the one they saw.
    `T${Math.max(time, before.published)}`,
    ...(before.metainfo === undefined ? [] : [`M${before.metainfo.text}`]),
    `Y${reflog.text}`,
  ];
}

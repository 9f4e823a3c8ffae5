import type { ContentHash } from './hash.js';
import { parseFingerprint } from './whitelist.js';

/** Certificates and revisions that this machine refuses whoever signed them (docs/format.md, 4.5). */
export interface Blacklist {
  readonly fingerprints: readonly ContentHash[];
  /** Revisions of `repository` smaller than `minimum` are banned. */
  readonly revisions: readonly { readonly repository: string; readonly minimum: number }[];
}

export const emptyBlacklist: Blacklist = { fingerprints: [], revisions: [] };

/** Reads a blacklist. Lines of neither form are comments, as in the reference. */
export function parseBlacklist(bytes: Buffer): Blacklist {
  const fingerprints: ContentHash[] = [];
  const revisions: { repository: string; minimum: number }[] = [];
  for (const line of bytes.toString('latin1').split('\n')) {
    const ban = /^<([^ \t]+)[ \t]+([0-9]+)$/.exec(line);
    if (ban !== null) {
      // A number too large for a safe integer bans everything, which is what it asks for.
      revisions.push({ repository: ban[1] ?? '', minimum: Number(ban[2]) });
      continue;
    }
    const fingerprint = parseFingerprint(line);
    if (fingerprint !== undefined) fingerprints.push(fingerprint);
  }
  return { fingerprints, revisions };
}

/** The smallest revision of a repository that is not banned; 0 if none is. */
export function minimumRevision(blacklist: Blacklist, repository: string): number {
  return blacklist.revisions
    .filter((ban) => ban.repository === repository)
    .reduce((most, ban) => Math.max(most, ban.minimum), 0);
}

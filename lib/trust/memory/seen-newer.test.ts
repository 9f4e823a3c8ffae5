import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { PinfsError } from '../../format/errors.js';
import { fqrn, judgeMade } from '../../testing/made-head.js';
import { openSeen } from './seen.js';
import type { SeenHead, SeenTag } from './seen-facts.js';

// What a later version of pinfs remembers.

const { verdict } = judgeMade();
const all = (): boolean => true;

function head(revision: number, fields: Partial<SeenHead> = {}): SeenHead {
  const rootHash = revision.toString(16).padStart(40, '0');
  const published = 1_600_000_000 + revision;
  return { revision, published, rootHash, rootSize: 1, historyHash: undefined, verdict, ...fields };
}

function tag(name: string, rootHash = 'c'.repeat(40)): SeenTag {
  return { name, rootHash, revision: 3, rootSize: undefined, verdict };
}

function files(directory: string): string[] {
  return readdirSync(join(directory, 'seen', fqrn)).sort();
}

/** The files of a repository, as a later version of pinfs writes them. */
function makeNewer(directory: string): string[] {
  return files(directory).map((name) => {
    const path = join(directory, 'seen', fqrn, name);
    const fields = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    const later = { step: 'moon-phase', outcome: 'passed', detail: 'full' };
    const steps = [later, { step: 'blacklist', outcome: 'passed', detail: '' }];
    const verdict = { ...(fields['verdict'] as object), steps, reasons: [{ code: 'NEVER_HEARD' }] };
    const text = JSON.stringify({ ...fields, format: 7, more: [1], verdict });
    writeFileSync(path, text);
    return text;
  });
}

void t.test(
  'what a later version wrote is read, protects, and is left as it is, with a word',
  (t) => {
    const directory = join(t.testdir({}), 'state');
    const reports: PinfsError[] = [];
    const seen = openSeen(directory, all, (error) => reports.push(error));
    seen.recordHead(fqrn, head(5));
    seen.recordTag(fqrn, tag('v1'));
    const texts = makeNewer(directory);
    const known = seen.get(fqrn);
    t.match(known?.head, { revision: 5, rootHash: head(5).rootHash });
    t.same(known?.head?.verdict.steps, [
      { step: 'blacklist', outcome: 'passed', detail: '', code: undefined },
    ]);
    t.same(known?.head?.verdict.reasons, []);
    t.equal(known?.tags.get('v1')?.rootHash, 'c'.repeat(40));
    t.same(reports, [], 'whoever only reads need not know');
    t.throws(() => seen.recordHead(fqrn, head(5, { rootHash: 'd'.repeat(40) })), {
      code: 'REVISION_CHANGED',
    });
    t.throws(() => seen.recordTag(fqrn, tag('v1', 'd'.repeat(40))), { code: 'TAG_MOVED' });
    seen.recordHead(fqrn, head(6));
    seen.recordTag(fqrn, tag('v2'));
    const bytes = Buffer.from('x');
    const parts = {
      manifest: bytes,
      whitelist: bytes,
      certificate: bytes,
      verifiedAt: '2020-01-01',
    };
    seen.recordEvidence(fqrn, 'a'.repeat(40), parts, verdict);
    t.equal(reports.length, 3);
    for (const report of reports) {
      t.match(report, { code: 'STATE_UNUSABLE', message: /later version/, advice: /that version/ });
    }
    t.same(
      files(directory).map((name) => readFileSync(join(directory, 'seen', fqrn, name), 'utf8')),
      texts,
      'nothing was written',
    );
    t.equal(seen.forget(fqrn), true);
    seen.recordHead(fqrn, head(6));
    t.equal(seen.get(fqrn)?.head?.revision, 6);
    t.end();
  },
);

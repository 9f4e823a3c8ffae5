import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fqrn, judgeMade } from '../testing/made-head.js';
import { openSeen, type SeenEvidence, type SeenHead, type SeenTag } from './seen.js';

// What is recorded a second time: in another way, or where nothing can be written any more.

const { verdict } = judgeMade();
const then = judgeMade({}, { trustAt: new Date('2021-01-01T00:00:00Z') }).verdict;

function head(revision: number, of = verdict): SeenHead {
  const rootHash = revision.toString(16).padStart(40, '0');
  const published = 1_600_000_000 + revision;
  return { revision, published, rootHash, rootSize: 1, historyHash: undefined, verdict: of };
}

function tag(name: string, of = verdict): SeenTag {
  return { name, rootHash: 'c'.repeat(40), revision: 3, rootSize: undefined, verdict: of };
}

const evidence: SeenEvidence = {
  manifest: Buffer.from('manifest'),
  whitelist: Buffer.from('whitelist'),
  certificate: Buffer.from('certificate'),
  verifiedAt: '2026-01-01T00:00:00.000Z',
};

function files(directory: string): string[] {
  return readdirSync(join(directory, 'seen', fqrn)).sort();
}

void t.test('what was judged as of another day never displaces what was not', (t) => {
  const directory = join(t.testdir({}), 'state');
  const seen = openSeen(directory);
  t.ok(then.trustAtGiven);
  seen.recordHead(fqrn, head(5));
  seen.recordHead(fqrn, head(5, then));
  seen.recordHead(fqrn, head(9, then));
  t.same(seen.get(fqrn)?.head, head(5));
  seen.recordTag(fqrn, tag('v1'));
  seen.recordTag(fqrn, tag('v1', then));
  t.same(seen.get(fqrn)?.tags.get('v1'), tag('v1'));
  t.end();
});

void t.test('it gives way to what was judged as of its own day, even to a lower one', (t) => {
  const directory = join(t.testdir({}), 'state');
  const seen = openSeen(directory);
  seen.recordHead(fqrn, head(9, then));
  t.same(seen.get(fqrn)?.head, head(9, then));
  seen.recordHead(fqrn, head(5));
  t.same(seen.get(fqrn)?.head, head(5));
  t.same(files(directory), ['head-5-1600000005.json']);
  seen.recordTag(fqrn, tag('v1', then));
  seen.recordTag(fqrn, tag('v1'));
  t.same(seen.get(fqrn)?.tags.get('v1'), tag('v1'));
  const moved = { ...tag('v1', then), rootHash: 'd'.repeat(40) };
  t.throws(() => seen.recordTag(fqrn, moved), { code: 'TAG_MOVED' }, 'a tag is a tag');
  t.end();
});

/** Makes a directory in which nothing can be written; undefined where that can't be done. */
function lock(t: Test, directory: string): (() => void) | undefined {
  if (process.geteuid?.() !== 0) return () => chmodSync(join(directory, 'seen', fqrn), 0o500);
  const mount = (...args: string[]): boolean =>
    spawnSync('mount', [...args, directory], { timeout: 10_000, stdio: 'ignore' }).status === 0;
  if (!mount('-t', 'tmpfs', '-o', 'size=1m,mode=700', 'tmpfs')) return undefined;
  t.teardown(() => spawnSync('umount', ['-l', directory], { timeout: 10_000 }));
  return () => {
    if (!mount('-o', 'remount,ro')) throw new Error('it can not be made read-only');
  };
}

void t.test(
  'what is known stays known where nothing can be written, what is new is an error',
  (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'pinfs-seen-'));
    t.teardown(() => rmSync(directory, { recursive: true, force: true }));
    const locked = lock(t, directory);
    if (locked === undefined) {
      t.end();
      return;
    }
    const seen = openSeen(directory);
    const record = (revision: number, name: string): void => {
      seen.recordHead(fqrn, head(revision));
      seen.recordTag(fqrn, tag(name));
      seen.recordEvidence(fqrn, head(revision).rootHash, evidence);
    };
    record(5, 'v1');
    seen.recordTag(fqrn, tag('trunk'));
    locked();
    t.doesNotThrow(() => record(5, 'v1'));
    t.doesNotThrow(() => seen.recordTag(fqrn, tag('trunk')));
    const unusable = { code: 'STATE_UNUSABLE' };
    t.throws(() => seen.recordHead(fqrn, head(6)), unusable);
    t.throws(() => seen.recordTag(fqrn, tag('v2')), unusable);
    t.throws(() => seen.recordTag(fqrn, { ...tag('trunk'), rootHash: 'd'.repeat(40) }), unusable);
    t.throws(() => seen.recordEvidence(fqrn, head(6).rootHash, evidence), unusable);
    t.same(seen.get(fqrn)?.head, head(5));
    t.end();
  },
);

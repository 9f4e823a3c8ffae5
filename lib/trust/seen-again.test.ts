import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fqrn, judgeMade } from '../testing/made-head.js';
import type { Verdict } from './verdict/verdict.js';
import { openSeen } from './memory/seen.js';
import type { SeenEvidence, SeenHead, SeenTag } from './memory/seen-facts.js';

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

/** Who counts what: everything, or what was judged as of its own day. */
const all = (): boolean => true;
const ofItsDay = ({ trustAtGiven }: Verdict): boolean => !trustAtGiven;

void t.test('what is no measure for who asks neither blocks nor replaces what is', (t) => {
  const directory = join(t.testdir({}), 'state');
  const strict = openSeen(directory, ofItsDay);
  const other = openSeen(directory, all);
  t.ok(then.trustAtGiven);
  other.recordHead(fqrn, head(9, then));
  other.recordTag(fqrn, { ...tag('v1', then), rootHash: 'd'.repeat(40) });
  t.equal(strict.get(fqrn), undefined);
  strict.recordHead(fqrn, head(5));
  strict.recordTag(fqrn, tag('v1'));
  t.same(strict.get(fqrn)?.head, head(5));
  t.same(strict.get(fqrn)?.tags.get('v1'), tag('v1'));
  t.same(other.get(fqrn)?.head, head(9, then), 'who counts both has the higher one');
  other.recordHead(fqrn, head(3));
  t.same(strict.get(fqrn)?.head, head(5), 'a lower one of the same key scope changes nothing');
  const moved = { ...tag('v1'), rootHash: 'e'.repeat(40) };
  t.throws(() => strict.recordTag(fqrn, moved), { code: 'TAG_MOVED' });
  t.throws(
    () => other.recordTag(fqrn, tag('v1', then)),
    { code: 'TAG_MOVED' },
    'to who counts both',
  );
  t.end();
});

void t.test('each key has a memory of its own', (t) => {
  const directory = join(t.testdir({}), 'state');
  const key = (sha256: string) => ({ name: 'key', sha256, shipped: false });
  const by = (sha256: string): Verdict => ({ ...verdict, key: key(sha256) });
  const given =
    (sha256: string) =>
    (one: Verdict): boolean =>
      one.key?.sha256 === sha256;
  const mine = openSeen(directory, given('a'));
  const theirs = openSeen(directory, given('b'));
  theirs.recordHead(fqrn, { ...head(5, by('b')), rootHash: 'd'.repeat(40) });
  mine.recordHead(fqrn, head(5, by('a')));
  mine.recordHead(fqrn, head(4, by('a')));
  t.equal(mine.get(fqrn)?.head?.rootHash, head(5).rootHash);
  t.equal(theirs.get(fqrn)?.head?.rootHash, 'd'.repeat(40));
  t.equal(files(directory).length, 2);
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
    const seen = openSeen(directory, all);
    const record = (revision: number, name: string): void => {
      seen.recordHead(fqrn, head(revision));
      seen.recordTag(fqrn, tag(name));
      seen.recordEvidence(fqrn, head(revision).rootHash, evidence, verdict);
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
    t.throws(() => seen.recordEvidence(fqrn, head(6).rootHash, evidence, verdict), unusable);
    t.same(seen.get(fqrn)?.head, head(5));
    t.end();
  },
);

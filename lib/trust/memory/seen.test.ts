import { execFile, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { PinfsError } from '../../format/errors.js';
import { fqrn, judgeMade } from '../../testing/made-head.js';
import { openSeen } from './seen.js';
import type { SeenHead, SeenTag } from './seen-facts.js';

const verdict = judgeMade().verdict;
const all = (): boolean => true;

function head(revision: number, fields: Partial<SeenHead> = {}): SeenHead {
  return {
    revision,
    published: 1_600_000_000 + revision,
    rootHash: revision.toString(16).padStart(40, '0').replace(/^0/, 'a'),
    rootSize: 4096,
    historyHash: 'b'.repeat(40),
    verdict,
    ...fields,
  };
}

function tag(name: string, rootHash = 'c'.repeat(40)): SeenTag {
  return { name, rootHash, revision: 3, rootSize: undefined, verdict };
}

function files(directory: string): string[] {
  return readdirSync(join(directory, 'seen', fqrn)).sort();
}

/** Without the key scope, which all have in common here. */
function heads(directory: string): string[] {
  return files(directory).map((name) => name.replace(/^head-[0-9a-f]{32}-/, 'head-'));
}

void t.test('nothing is known at first, and asking makes no files', (t) => {
  const directory = join(t.testdir({}), 'state');
  const seen = openSeen(directory, all);
  t.equal(seen.get(fqrn), undefined);
  t.same(seen.evidence(fqrn, 'a'.repeat(40)), []);
  t.equal(seen.forget(fqrn), false);
  t.equal(existsSync(directory), false);
  t.end();
});

void t.test('what is recorded is there for the next process, whole', (t) => {
  const directory = join(t.testdir({}), 'state');
  openSeen(directory, all).recordHead(fqrn, head(5));
  openSeen(directory, all).recordTag(fqrn, tag('v1'));
  const seen = openSeen(directory, all).get(fqrn);
  t.same(seen?.head, head(5));
  t.same(seen?.tags.get('v1'), tag('v1'));
  t.same(openSeen(directory, all).get('other.example.org'), undefined);
  t.end();
});

const isRoot = process.geteuid?.() === 0;

void t.test('a full disk: nothing is remembered, and that is told', { skip: !isRoot }, (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-seen-'));
  const mount = ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory];
  if (spawnSync('mount', mount, { timeout: 10_000 }).status !== 0) {
    t.comment('nothing can be mounted here');
    t.end();
    return;
  }
  t.teardown(() => {
    spawnSync('umount', ['-l', directory], { timeout: 10_000 });
    rmSync(directory, { recursive: true });
  });
  const state = join(directory, 'state');
  openSeen(state, all).recordHead(fqrn, head(5));
  const others = openSync(join(directory, 'others'), 'w');
  t.throws(() => {
    for (;;) writeSync(others, Buffer.alloc(4096));
  });
  closeSync(others);
  const told: PinfsError[] = [];
  const seen = openSeen(state, all, (error) => told.push(error));
  seen.recordHead(fqrn, head(6));
  seen.recordTag(fqrn, tag('v1'));
  t.match(told, [
    { code: 'STATE_UNUSABLE', message: /the disk is full/, advice: /^free some space/ },
    { code: 'STATE_UNUSABLE', message: /the disk is full/, advice: /^free some space/ },
  ]);
  t.same(openSeen(state, all).get(fqrn)?.head, head(5), 'what was known goes on to protect');
  const changed = head(5, { rootHash: 'd'.repeat(40) });
  t.throws(() => seen.recordHead(fqrn, changed), { code: 'REVISION_CHANGED' });
  t.end();
});

void t.test('files are for the user alone', (t) => {
  const directory = join(t.testdir({}), 'state');
  openSeen(directory, all).recordHead(fqrn, head(5));
  for (const path of ['', 'seen', `seen/${fqrn}`]) {
    t.equal(statSync(join(directory, path)).mode & 0o777, 0o700, path);
  }
  for (const name of files(directory)) {
    t.equal(statSync(join(directory, 'seen', fqrn, name)).mode & 0o777, 0o600, name);
  }
  t.end();
});

void t.test('the highest head wins, in whatever order they come', (t) => {
  const base = t.testdir({});
  let count = 0;
  fc.assert(
    fc.property(fc.shuffledSubarray([1, 2, 3, 9, 10, 11, 100], { minLength: 1 }), (revisions) => {
      const directory = join(base, `state-${++count}`);
      for (const revision of revisions) openSeen(directory, all).recordHead(fqrn, head(revision));
      const highest = Math.max(...revisions);
      return (
        openSeen(directory, all).get(fqrn)?.head?.revision === highest &&
        heads(directory).join() === `head-${highest}-${1_600_000_000 + highest}.json`
      );
    }),
    { numRuns: 30 },
  );
  t.end();
});

void t.test('of one revision the later time wins, and another root hash is refused', (t) => {
  const directory = t.testdir({});
  chmodSync(directory, 0o700);
  const seen = openSeen(directory, all);
  seen.recordHead(fqrn, head(5, { published: 200 }));
  seen.recordHead(fqrn, head(5, { published: 100 }));
  t.equal(seen.get(fqrn)?.head?.published, 200);
  seen.recordHead(fqrn, head(5, { published: 300 }));
  t.equal(seen.get(fqrn)?.head?.published, 300);
  t.throws(() => seen.recordHead(fqrn, head(5, { rootHash: 'd'.repeat(40) })), {
    code: 'REVISION_CHANGED',
  });
  t.equal(seen.get(fqrn)?.head?.rootHash, head(5).rootHash);
  t.end();
});

void t.test('a tag stays what it was, but for those that the server moves', (t) => {
  const seen = openSeen(join(t.testdir({}), 'state'), all);
  const moved = 'd'.repeat(40);
  for (const name of ['v1', 'a/b', '../../evil', 'ünï', 'x'.repeat(500)]) {
    seen.recordTag(fqrn, tag(name));
    seen.recordTag(fqrn, tag(name));
    t.throws(() => seen.recordTag(fqrn, tag(name, moved)), { code: 'TAG_MOVED' }, name);
    t.equal(seen.get(fqrn)?.tags.get(name)?.rootHash, 'c'.repeat(40));
  }
  for (const name of ['trunk', 'trunk-previous']) {
    seen.recordTag(fqrn, tag(name));
    seen.recordTag(fqrn, tag(name, moved));
    t.equal(seen.get(fqrn)?.tags.get(name)?.rootHash, moved, name);
  }
  t.end();
});

void t.test('evidence comes back byte for byte', (t) => {
  const seen = openSeen(join(t.testdir({}), 'state'), all);
  const evidence = {
    manifest: Buffer.from([0, 10, 255]),
    whitelist: Buffer.alloc(1000, 'ä'),
    certificate: Buffer.alloc(0),
    verifiedAt: '2020-01-01T00:00:00.000Z',
  };
  seen.recordEvidence(fqrn, 'a'.repeat(40), evidence, verdict);
  t.same(seen.evidence(fqrn, 'a'.repeat(40)), [evidence]);
  t.same(seen.evidence(fqrn, 'b'.repeat(40)), []);
  t.equal(seen.get(fqrn), undefined, 'evidence alone is no head');
  t.throws(() => seen.evidence(fqrn, '../../etc/passwd'), { code: 'INTERNAL' });
  t.end();
});

void t.test('evidence is bounded: the oldest goes, that of tags and head stays', (t) => {
  const directory = join(t.testdir({}), 'state');
  const seen = openSeen(directory, all);
  const bytes = Buffer.from('x');
  const evidence = {
    manifest: bytes,
    whitelist: bytes,
    certificate: bytes,
    verifiedAt: '2020-01-01',
  };
  const hash = (index: number): string => index.toString(16).padStart(40, '0');
  seen.recordTag(fqrn, tag('v1', hash(1)));
  seen.recordHead(fqrn, head(7, { rootHash: hash(2) }));
  for (let index = 1; index <= 215; index++) {
    seen.recordEvidence(fqrn, hash(index), evidence, verdict);
    const name = files(directory).find((one) => one.endsWith(`-${hash(index)}.json`));
    const path = join(directory, 'seen', fqrn, name ?? '');
    utimesSync(path, index, index);
  }
  const kept = files(directory).filter((name) => name.startsWith('evidence-'));
  t.ok(kept.length <= 203, `${kept.length} kept`);
  t.ok(seen.evidence(fqrn, hash(1)).length, 'of a tag');
  t.ok(seen.evidence(fqrn, hash(2)).length, 'of the head');
  t.same(seen.evidence(fqrn, hash(3)), [], 'the oldest');
  t.ok(seen.evidence(fqrn, hash(215)).length, 'the newest');
  t.end();
});

void t.test('forgetting removes one repository and no other', (t) => {
  const seen = openSeen(join(t.testdir({}), 'state'), all);
  seen.recordHead(fqrn, head(5));
  seen.recordHead('other.example.org', head(6));
  t.equal(seen.forget(fqrn), true);
  t.equal(seen.get(fqrn), undefined);
  t.equal(seen.get('other.example.org')?.head?.revision, 6);
  seen.recordHead(fqrn, head(1));
  t.equal(seen.get(fqrn)?.head?.revision, 1);
  t.end();
});

void t.test('a name that is no repository never becomes a path', (t) => {
  const directory = t.testdir({ kept: 'x', state: {} });
  const seen = openSeen(join(directory, 'state'), all);
  for (const name of ['..', '../..', 'a/b', '', '.', 'a\0b', '/etc']) {
    t.throws(() => seen.get(name), { code: 'USAGE' }, JSON.stringify(name));
    t.throws(() => seen.forget(name), { code: 'USAGE' }, JSON.stringify(name));
    t.throws(() => seen.recordHead(name, head(1)), { code: 'USAGE' }, JSON.stringify(name));
  }
  t.equal(existsSync(join(directory, 'kept')), true);
  t.end();
});

void t.test('damaged state is refused with advice, never taken for absent', (t) => {
  const directory = join(t.testdir({}), 'state');
  const seen = openSeen(directory, all);
  seen.recordHead(fqrn, head(5));
  const path = join(directory, 'seen', fqrn, files(directory)[0] ?? '');
  const whole = readFileSync(path, 'utf8');
  const fields = JSON.parse(whole) as Record<string, unknown>;
  const damaged = [
    '',
    'null',
    '[]',
    whole.slice(0, -10),
    JSON.stringify({ ...fields, format: undefined }),
    JSON.stringify({ ...fields, format: 0 }),
    JSON.stringify({ ...fields, format: 1.5 }),
    JSON.stringify({ ...fields, format: 2, revision: '5' }),
    JSON.stringify({ ...fields, revision: 4 }),
    JSON.stringify({ ...fields, revision: '5' }),
    JSON.stringify({ ...fields, published: -1 }),
    JSON.stringify({ ...fields, rootHash: '../../x' }),
    JSON.stringify({ ...fields, verdict: {} }),
    JSON.stringify({ ...fields, verdict: { ...verdict, status: 'perfect' } }),
    JSON.stringify({ ...fields, verdict: { ...verdict, steps: [{}] } }),
  ];
  for (const text of damaged) {
    writeFileSync(path, text);
    t.throws(() => seen.get(fqrn), { code: 'STATE_UNUSABLE', advice: /pinfs forget/ }, text);
    t.throws(() => seen.recordHead(fqrn, head(4)), { code: 'STATE_UNUSABLE' }, text);
  }
  renameSync(path, join(directory, 'seen', fqrn, 'head-5-1600000005.json'));
  t.throws(() => seen.get(fqrn), { code: 'STATE_UNUSABLE' }, 'a name of another version');
  renameSync(join(directory, 'seen', fqrn, 'head-5-1600000005.json'), path);
  writeFileSync(path, 'x'.repeat(2 * 1024 * 1024));
  t.throws(() => seen.get(fqrn), { code: 'STATE_UNUSABLE' }, 'too large');
  rmSync(path);
  mkdirSync(path);
  t.throws(() => seen.get(fqrn), { code: 'STATE_UNUSABLE' }, 'a directory');
  t.equal(seen.forget(fqrn), true);
  t.equal(seen.get(fqrn), undefined);
  t.end();
});

void t.test('a damaged tag is refused, and so is one under the name of another', (t) => {
  const directory = join(t.testdir({}), 'state');
  const seen = openSeen(directory, all);
  seen.recordTag(fqrn, tag('v1'));
  const path = join(directory, 'seen', fqrn, files(directory)[0] ?? '');
  renameSync(path, join(directory, 'seen', fqrn, `tag-${'0'.repeat(64)}.json`));
  t.throws(() => seen.get(fqrn), { code: 'STATE_UNUSABLE' });
  rmSync(join(directory, 'seen', fqrn), { recursive: true });
  seen.recordTag(fqrn, tag('v1'));
  writeFileSync(path, '{}');
  t.throws(() => seen.get(fqrn), { code: 'STATE_UNUSABLE' });
  t.throws(() => seen.recordTag(fqrn, tag('v1')), { code: 'STATE_UNUSABLE' });
  t.end();
});

void t.test('damaged evidence counts as none', (t) => {
  const directory = join(t.testdir({}), 'state');
  const seen = openSeen(directory, all);
  const bytes = Buffer.from('x');
  const evidence = {
    manifest: bytes,
    whitelist: bytes,
    certificate: bytes,
    verifiedAt: '2020-01-01',
  };
  seen.recordEvidence(fqrn, 'a'.repeat(40), evidence, verdict);
  writeFileSync(join(directory, 'seen', fqrn, files(directory)[0] ?? ''), '{"format":1}');
  t.same(seen.evidence(fqrn, 'a'.repeat(40)), []);
  t.end();
});

void t.test('state that others may write, or that is no directory, is refused', (t) => {
  const base = t.testdir({ file: 'x', open: {} });
  chmodSync(join(base, 'open'), 0o770);
  for (const name of ['file', 'open']) {
    const seen = openSeen(join(base, name), all);
    t.throws(() => seen.get(fqrn), { code: 'STATE_UNUSABLE' }, name);
    t.throws(() => seen.recordHead(fqrn, head(1)), { code: 'STATE_UNUSABLE' }, name);
  }
  t.end();
});

void t.test('what a killed process left behind is no fact, and is swept away', (t) => {
  const directory = join(t.testdir({}), 'state');
  const seen = openSeen(directory, all);
  seen.recordHead(fqrn, head(5));
  const draft = join(directory, 'seen', fqrn, '.tmp-0123');
  writeFileSync(draft, '{"format":1,"revision":99');
  utimesSync(draft, 0, 0);
  t.equal(seen.get(fqrn)?.head?.revision, 5);
  seen.recordHead(fqrn, head(6));
  t.same(heads(directory), ['head-6-1600000006.json']);
  t.end();
});

void t.test('processes that write at once never lower the revision', async (t) => {
  const directory = join(t.testdir({}), 'state');
  const module = new URL('./seen.js', import.meta.url).href;
  const example = JSON.stringify(head(1));
  const script = `
    const { openSeen } = await import(${JSON.stringify(module)});
    const seen = openSeen(${JSON.stringify(directory)}, () => true);
    const first = Number(process.argv[1]);
    let highest = 0;
    for (let step = 0; step < 40; step++) {
      const revision = first + 3 * step;
      const head = { ...${example}, revision, published: revision, rootHash: String(revision).padStart(40, '0') };
      seen.recordHead(${JSON.stringify(fqrn)}, head);
      const now = seen.get(${JSON.stringify(fqrn)}).head.revision;
      if (now < revision || now < highest) throw new Error(now + ' after ' + revision + ' and ' + highest);
      highest = now;
    }`;
  const run = promisify(execFile);
  await Promise.all(
    ['1', '2', '3'].map((first) =>
      run(process.execPath, ['--input-type=module', '-e', script, first], { timeout: 60_000 }),
    ),
  );
  t.equal(openSeen(directory, all).get(fqrn)?.head?.revision, 120);
  t.same(heads(directory), ['head-120-120.json']);
});

void t.test('a directory that cannot be made is said so', (t) => {
  const base = t.testdir({ file: 'x' });
  try {
    openSeen(join(base, 'file', 'state'), all).recordHead(fqrn, head(1));
    t.fail('was written');
  } catch (error) {
    t.equal(error instanceof PinfsError && error.code, 'STATE_UNUSABLE');
  }
  t.end();
});

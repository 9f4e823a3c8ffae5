import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import type { PinfsError } from '../../format/errors.js';
import { inodeOfDigest, pathDigest } from '../../format/path-hash.js';
import type { InodePlace } from '../../filesystem/snapshot-descriptor.js';
import { forgetInodes, inodeFile } from './inode-files.js';
import { openInodeState, type InodeState } from './inode-state.js';

const rootHash = '0123456789abcdef0123456789abcdef01234567';
const one = (1n << 32n) | 7n;
const two = (2n << 32n) | 7n;

interface Scene {
  readonly place: InodePlace;
  readonly file: string;
  readonly reports: PinfsError[];
  readonly open: (more?: { onPending?: () => void }) => InodeState;
}

function scene(t: Test): Scene {
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-inodes-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const place = { directory, fqrn: 'made.example.org', rootHash };
  const reports: PinfsError[] = [];
  const open = (more: { onPending?: () => void } = {}): InodeState => {
    const state = openInodeState(place, { report: (error) => reports.push(error), ...more });
    t.teardown(() => state.close());
    return state;
  };
  return { place, file: inodeFile(place), reports, open };
}

t.test('a number that was given stays its owner’s over remounts', (t) => {
  const { open, reports, file } = scene(t);
  const first = open();
  t.equal(first.shown(one), 7n);
  first.close();
  const second = open();
  t.equal(second.shown(two), 8n, 'although the other one was not seen this time');
  t.equal(second.shown(one), 7n);
  t.same(second.status, { seen: 3, moved: 1, kept: true });
  second.close();
  const third = open();
  t.equal(third.shown(two), 8n);
  t.same(reports, []);
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.end();
});

t.test('a number that is not the lower word is written before anybody hears of it', (t) => {
  const { open } = scene(t);
  const killed = open();
  killed.shown(one);
  killed.shown(two);
  // Nothing more is done with it, as after kill -9.
  const next = open();
  t.equal(next.shown(two), 8n);
  t.equal(next.shown((3n << 32n) | 7n), 9n);
  t.end();
});

t.test('others are written when there is time, and when many wait', (t) => {
  const { open } = scene(t);
  let told = 0;
  const state = open({ onPending: () => told++ });
  state.shown(one);
  state.shown((1n << 32n) | 100n);
  t.equal(told, 1, 'that something waits is told once');
  state.flush();
  const same = open();
  t.equal(same.shown(two), 8n);
  for (let at = 1000n; at < 1600n; at++) state.shown((1n << 32n) | at);
  t.ok(told > 1);
  const next = open();
  t.not(next.shown((2n << 32n) | 1000n), 1000n, 'it is another’s by now');
  t.end();
});

t.test('mounts that run at the same time take in what the others gave', (t) => {
  const { open, reports } = scene(t);
  const left = open();
  const right = open();
  right.shown((9n << 32n) | 500n);
  t.equal(left.shown(one), 7n);
  t.equal(left.shown(two), 8n);
  right.flush();
  t.equal(right.shown(two), 8n);
  t.equal(right.shown(one), 7n);
  const third = open();
  t.equal(third.shown((8n << 32n) | 500n), 501n);
  t.same(reports, []);
  t.end();
});

t.test('the root needs no file', (t) => {
  const { open, file } = scene(t);
  const state = open();
  const root = inodeOfDigest(pathDigest(''));
  t.equal(state.shown(root), root & 0xffff_ffffn);
  t.notOk(existsSync(file));
  t.same(state.status, { seen: 0, moved: 0, kept: true });
  t.end();
});

t.test('a damaged end is left out, and what comes behind it is read', (t) => {
  const { open, file, reports } = scene(t);
  const state = open();
  state.shown(one);
  state.flush();
  state.shown((1n << 32n) | 100n);
  state.close();
  truncateSync(file, statSync(file).size - 3);
  const next = open();
  t.equal(next.shown(two), 8n, 'the first batch is whole');
  t.match(reports, [{ code: 'STATE_UNUSABLE', message: /21 damaged bytes/ }]);
  next.close();
  t.equal(open().shown(two), 8n);
  t.end();
});

t.test('whatever else lies there is set aside, and numbers begin anew', (t) => {
  const kinds: Record<string, (file: string) => void> = {
    'a directory': (file) => mkdirSync(file),
    'a link': (file) => symlinkSync('/etc/passwd', file),
    'a FIFO': (file) => execFileSync('mkfifo', ['-m', '600', file]),
    'an empty file': (file) => writeFileSync(file, '', { mode: 0o600 }),
    'another text': (file) => writeFileSync(file, 'x'.repeat(5000), { mode: 0o600 }),
  };
  for (const [kind, make] of Object.entries(kinds)) {
    const { open, file, reports } = scene(t);
    mkdirSync(dirname(file), { recursive: true });
    make(file);
    for (const above of [dirname(file), dirname(dirname(file))]) chmodSync(above, 0o700);
    const state = open();
    t.equal(state.shown(one), 7n, kind);
    t.match(reports, [{ code: 'STATE_UNUSABLE', message: /set aside/ }], kind);
    t.match(state.status, { kept: true }, kind);
    state.close();
    t.equal(open().shown(two), 8n, kind);
  }
  t.match(readFileSync('/etc/passwd', 'utf8'), /root/);
  t.end();
});

t.test('where nothing can be kept, a mount goes on, and says so once', (t) => {
  const newer = scene(t);
  newer.open().shown(one);
  const text = readFileSync(newer.file, 'latin1').replace('numbers 1 ', 'numbers 2 ');
  writeFileSync(newer.file, text, 'latin1');
  const foreign = scene(t);
  foreign.open().shown(one);
  chmodSync(foreign.file, 0o666);
  const open = scene(t);
  chmodSync(open.place.directory, 0o777);
  for (const { file, reports, open: again } of [newer, foreign, open]) {
    const before = existsSync(file) ? readFileSync(file, 'latin1') : '';
    const state = again();
    t.equal(state.shown(one), 7n);
    t.equal(state.shown(two), 8n);
    state.flush();
    t.match(state.status, { moved: 1, kept: false });
    t.match(reports, [{ code: 'STATE_UNUSABLE', message: /not kept/, advice: /remount/ }]);
    t.equal(existsSync(file) ? readFileSync(file, 'latin1') : '', before, 'and nothing is touched');
  }
  t.end();
});

t.test('the numbers that a later version gave are read, and nothing is added', (t) => {
  const { file, reports, open } = scene(t);
  const first = open();
  first.shown(one);
  first.shown(two);
  first.close();
  const text = readFileSync(file, 'latin1').replace('numbers 1 ', 'numbers 2 ');
  writeFileSync(file, `${text}a batch of another kind`, 'latin1');
  const before = readFileSync(file, 'latin1');
  const state = open();
  t.equal(state.shown(two), 8n, 'although the other one was not seen this time');
  t.equal(state.shown((3n << 32n) | 7n), 9n);
  state.close();
  t.match(reports, [{ code: 'STATE_UNUSABLE', message: /later version.*nothing is added/ }]);
  t.equal(reports.length, 1);
  t.equal(readFileSync(file, 'latin1'), before);
  t.end();
});

t.test('the snapshots that were used last are kept', (t) => {
  const { place, file, reports } = scene(t);
  for (let at = 0; at < 70; at++) {
    const hash = at.toString(16).padStart(40, '0');
    const state = openInodeState(
      { ...place, rootHash: hash },
      { report: (error) => reports.push(error) },
    );
    state.shown(one);
    state.close();
    utimesSync(join(dirname(file), hash), 1_600_000_000 + at, 1_600_000_000 + at);
  }
  const left = readdirSync(dirname(file)).sort();
  t.equal(left.length, 64);
  t.equal(left.at(-1), (69).toString(16).padStart(40, '0'));
  t.same(reports, []);
  t.ok(forgetInodes(place.directory, place.fqrn));
  t.notOk(existsSync(dirname(file)));
  t.notOk(forgetInodes(place.directory, place.fqrn));
  t.notOk(forgetInodes(place.directory, '..'), 'a name that is none leads nowhere');
  t.end();
});

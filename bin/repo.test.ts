import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { pinfsInProcess } from '../native-test/in-process.js';
import { otherMasterKey, testMasterKey, weakMasterKey } from '../lib/publish/keys.js';
import {
  file,
  makeRepository,
  makeSmallRepository,
  nested,
} from '../lib/publish/write-repository.js';
import { extendReflog } from '../lib/publish/revision/reflog.js';
import { openStorage } from '../lib/publish/storage/open.js';

const fqrn = 'demo.example.org';

function scene(t: Test) {
  const work = t.testdir({ config: {} });
  const env = {
    XDG_CONFIG_HOME: join(work, 'config'),
    XDG_CACHE_HOME: join(work, 'cache'),
    XDG_STATE_HOME: join(work, 'state'),
  };
  const storage = join(work, fqrn);
  const run = (...args: string[]) => pinfsInProcess(args, env);
  const repo = (command: string, ...args: string[]) =>
    run('repo', command, fqrn, '--storage', storage, ...args);
  const json = async (command: string, ...args: string[]) =>
    JSON.parse((await repo(command, ...args, '--json')).stdout) as Record<string, unknown>;
  const keys = join(work, 'config', 'pinfs', 'keys');
  return { work, storage, run, repo, json, keys };
}

void t.test('a repository is made, and read with nothing but its public key', async (t) => {
  const { work, storage, run, repo, json, keys } = scene(t);
  const made = await repo('create', '--days', '7');
  t.equal(made.code, 0, made.stderr);
  t.same(readdirSync(keys).sort(), [`${fqrn}.key`, `${fqrn}.masterkey`, `${fqrn}.pub`]);
  for (const secret of ['key', 'masterkey'])
    t.equal(statSync(join(keys, `${fqrn}.${secret}`)).mode & 0o777, 0o600);
  const info = await run('info', storage, '--json', '--key', join(keys, `${fqrn}.pub`));
  t.match(JSON.parse(info.stdout), { revision: 0, trust: { status: 'verified' } });
  t.match(await run('tags', storage), { stdout: /^trunk .*empty repository/ });
  t.match(await run('check', storage), { code: 0, stdout: /1 catalogs.*: 0 missing/ });
  const facts = await json('info');
  t.match(facts, { fqrn, revision: 0, tags: 1, collectable: false, certificate: { listed: true } });
  const expires = Date.parse((facts['whitelist'] as { expires: string }).expires);
  t.ok(Math.abs(expires - Date.now() - 7 * 86_400_000) <= 3_600_000);
  for (const file of ['.cvmfs_status.json', '.cvmfsreflog', '.cvmfs_master_replica'])
    t.ok(existsSync(join(storage, file)), file);

  const exported = join(work, 'exported.pub');
  t.equal((await run('repo', 'key', 'export', fqrn, '-o', exported)).code, 0);
  t.equal(readFileSync(exported, 'utf8'), (await run('repo', 'key', 'export', fqrn)).stdout);
  t.match(readFileSync(exported, 'utf8'), /^-----BEGIN PUBLIC KEY-----/);
  t.match(await run('repo', 'key', 'export', fqrn, '-o', exported), { code: 2 });

  t.match(await repo('create'), { code: 1, stderr: /REPOSITORY_EXISTS/ });
  const held = await openStorage(storage);
  const release = await held.lock();
  t.match(await repo('resign'), { code: 1, stderr: /STORAGE_BUSY/ });
  await release();
});

void t.test('the whitelist is signed anew, and the key goes over to a new one', async (t) => {
  const { storage, run, repo, json, work, keys } = scene(t);
  const master = join(work, 'usb-stick');
  writeFileSync(master, testMasterKey.privateKey);
  const own = ['--master-signing-key', master];
  await repo('create', '--hash', 'shake128', '--collectable', ...own);
  const reading = ['--key', `${master}.pub`];
  t.match(await run('ls', storage, ...reading), { code: 0 });
  const before = await json('info');
  t.match(before, { algorithm: 'shake128', collectable: true });
  t.match(await repo('resign', '--days', '90', ...own), { code: 0 });
  const old = readFileSync(join(keys, `${fqrn}.key`), 'utf8');
  t.match(await repo('rotate-key', ...own), { code: 0 });
  t.equal(readFileSync(join(keys, `${fqrn}.key.old`), 'utf8'), old);
  t.not(readFileSync(join(keys, `${fqrn}.key`), 'utf8'), old);
  const after = await json('info');
  t.not(
    (after['certificate'] as { fingerprint: string }).fingerprint,
    (before['certificate'] as { fingerprint: string }).fingerprint,
  );
  t.equal(after['rootHash'], before['rootHash']);
  t.match(await run('ls', storage, ...reading), { code: 0, stderr: '' });
  const lines = () =>
    readFileSync(join(storage, '.cvmfswhitelist'), 'latin1').split('\n--')[0]?.split('\n');
  t.equal(lines()?.length, 5, 'two certificates');
  await repo('resign', ...own);
  t.equal(lines()?.length, 4, 'only the new one counts');
  t.match(await run('ls', storage, ...reading), { code: 0 });

  // Interrupted when all was signed, and the key not in its place.
  writeFileSync(join(keys, `${fqrn}.key.new`), readFileSync(join(keys, `${fqrn}.key`)));
  t.match(await repo('rotate-key', ...own), { code: 0 });
  t.same((await json('info'))['certificate'], after['certificate']);
});

void t.test('nothing is signed that somebody else put there', async (t) => {
  const { storage, repo, keys, work } = scene(t);
  await repo('create');
  const whitelist = join(storage, '.cvmfswhitelist');
  const good = readFileSync(whitelist);
  const changed = Buffer.from(good);
  changed.writeUInt8((good.at(-1) ?? 0) ^ 1, good.length - 1);
  writeFileSync(whitelist, changed);
  t.match(await repo('resign'), { code: 3, stderr: /WHITELIST_SIGNATURE/ });
  writeFileSync(whitelist, good);
  const manifest = join(storage, '.cvmfspublished');
  writeFileSync(manifest, readFileSync(manifest, 'latin1').replace('\nS0\n', '\nS7\n'), 'latin1');
  t.match(await repo('resign'), { code: 3, stderr: /MANIFEST_SIGNATURE/ });
  t.match(await repo('rotate-key'), { code: 3 });
  for (const [name, text] of Object.entries({ weak: weakMasterKey.privateKey, none: 'x' })) {
    const file = join(work, name);
    writeFileSync(file, text);
    t.match(await repo('resign', '--master-signing-key', file), { code: 2 }, name);
  }
  t.match(await repo('resign', '--master-signing-key', join(work, 'nowhere')), { code: 2 });
  writeFileSync(join(work, 'other'), testMasterKey.privateKey);
  t.match(await repo('resign', '--master-signing-key', join(work, 'other')), { code: 3 });
  t.match(await repo('create', '--days', '0'), { code: 2 });
  t.ok(existsSync(join(keys, `${fqrn}.key`)));
});

void t.test('the certificate is one that the reference would make', async (t) => {
  const { storage, run } = scene(t);
  const long = 'a-very-long-name-of-a-repository.example.org';
  const made = await run('repo', 'create', long, '--storage', storage);
  t.equal(made.code, 0, made.stderr);
  t.match(await run('repo', 'info', fqrn, '--storage', storage), { stderr: /REPOSITORY_MISSING/ });
  const hash =
    /\nX([0-9a-f]{40})\n/.exec(readFileSync(join(storage, '.cvmfspublished'), 'latin1'))?.[1] ?? '';
  const object = readFileSync(join(storage, 'data', hash.slice(0, 2), `${hash.slice(2)}X`));
  const certificate = new X509Certificate(inflateSync(object));
  t.equal(certificate.subject, 'CN=a-very-long-name-of-a-reposito[...] CernVM-FS Release Managers');
  t.ok(certificate.verify(certificate.publicKey));
  t.match(await run('repo', 'create', '../x', '--storage', storage), { code: 2 });
});

/** A repository with files, made by nobody's publisher: that of tests. */
function withFiles(t: Test) {
  const made = makeSmallRepository(
    { a: file('one'), big: file('0123456789', { chunks: [4] }), sub: nested({ b: file('two') }) },
    { fqrn },
  );
  const at = scene(t);
  return { ...at, made, copy: made.writeTo(join(at.work, 'copy')), there: made.writeTo(at.work) };
}

void t.test('what is missing or damaged is found, and brought from another copy', async (t) => {
  const { there, copy, repo, json, work, made } = withFiles(t);
  writeFileSync(join(work, 'master.pub'), testMasterKey.publicKey);
  const own = ['--master-signing-key', join(work, 'master')];
  t.match(await repo('check', ...own), { code: 0, stdout: /: 0 problems; 0 orphans/, stderr: '' });
  const objects = [...made.files.keys()].filter((path) => path.startsWith('data/'));
  for (const path of objects) {
    const kind = path.at(-1);
    // Of a certificate that is gone nothing can be judged.
    if (kind === 'X') continue;
    rmSync(join(there, path));
    t.match(await repo('check', ...own), { code: 5, stdout: /OBJECT_MISSING/ }, path);
    writeFileSync(join(there, path), 'damaged');
    t.match(await repo('check', ...own), { code: 5, stdout: /OBJECT_HASH_MISMATCH/ }, path);
    const mended = await repo('repair', '--from', copy, ...own);
    t.match(mended, { code: 0, stdout: /0 problems, 1 objects brought/ }, path);
  }
  t.equal((await json('check', ...own))['objects'], objects.length);
  const [path = ''] = objects;
  writeFileSync(join(there, path), 'damaged');
  writeFileSync(join(copy, path), 'damaged too');
  t.match(await repo('repair', '--from', copy, ...own), { code: 5 });
  writeFileSync(join(work, 'master.pub'), otherMasterKey.publicKey);
  t.match(await repo('check', ...own), { stdout: /WHITELIST_SIGNATURE/ });
});

void t.test('counters that are wrong, and a reflog that is another one, are told', async (t) => {
  const { work, run, storage } = scene(t);
  const sql = "UPDATE statistics SET value = 7 WHERE counter = 'self_regular'";
  makeRepository({ fqrn, revisions: [{ tree: { a: file('one') }, sql }] }).writeTo(work);
  const checked = await run('repo', 'check', fqrn, '--storage', storage);
  t.match(checked, { code: 5, stdout: /regular says 7, and it has 1 \[CATALOG_COUNTERS\]/ });
  const below = "UPDATE statistics SET value = 7 WHERE counter = 'subtree_regular'";
  const tree = { a: file('one'), sub: nested({ b: file('two') }) };
  makeRepository({ fqrn, revisions: [{ tree, sql: below }] }).writeTo(work);
  const again = await run('repo', 'check', fqrn, '--storage', storage);
  t.match(again, {
    code: 5,
    stdout: /regular of what is below says 7, and that has [12] \[CATALOG_COUNTERS\]/,
  });
  const other = join(work, 'other');
  await run('repo', 'create', 'other.example.org', '--storage', other);
  writeFileSync(join(other, '.cvmfsreflog'), 'x');
  t.match(await run('repo', 'check', 'other.example.org', '--storage', other), {
    stdout: /REFLOG_MALFORMED/,
  });
});

void t.test('only what nothing reaches is removed, and only when asked', async (t) => {
  const { work, repo, json, storage } = scene(t);
  const made = makeRepository({
    fqrn,
    revisions: [
      { tree: { a: file('untagged') } },
      { tree: { a: file('kept by its tag') }, tags: { v2: '' } },
      { tree: { a: file('kept by hand') } },
      { tree: { a: file('goes') } },
      // Two names are kept by the repository itself: the newest one, and the one before.
      { tree: { a: file('the one before') } },
      { tree: { a: file('the newest') } },
    ],
  });
  made.writeTo(work);
  const [first, , third] = made.revisions.map(({ rootHash }) => rootHash.text);
  writeFileSync(join(work, 'keep'), `# these\n${third ?? ''} of a paper\n`);
  mkdirSync(join(storage, '.pinfs'), { recursive: true });
  writeFileSync(join(storage, '.pinfs', 'kept'), `${first ?? ''}\n`);
  const count = () => readdirSync(join(storage, 'data'), { recursive: true }).length;
  const before = count();
  const keep = ['--keep', join(work, 'keep')];
  const told = await repo('gc', ...keep);
  // A file and a catalog, and the five tag databases of the revisions before.
  t.match(told, { code: 0, stdout: /^7 objects, .* would be removed/ });
  t.equal(count(), before);
  t.match(await repo('gc', '--keep', 'x'), { code: 2 });
  const listed = () => {
    const db = new Database(readFileSync(join(storage, '.cvmfsreflog')));
    const hashes = db.prepare('SELECT hash FROM refs').pluck().all() as string[];
    db.close();
    return hashes;
  };
  const [untagged, tagged, , gone = ''] = made.revisions.map(({ rootHash }) => rootHash.text);
  const roots = made.revisions.map(({ rootHash }) => ({
    kind: 'catalog' as const,
    hash: rootHash.text,
  }));
  writeFileSync(join(storage, '.cvmfsreflog'), extendReflog(undefined, fqrn, roots, 1));
  t.match(await json('gc', '--yes', ...keep), { objects: 7, removed: true });
  t.notOk(listed().includes(gone), 'the reflog lists no root that is gone');
  t.same(
    [untagged, tagged].filter((hash) => !listed().includes(hash ?? '')),
    [],
  );
  t.match(readFileSync(join(storage, '.cvmfs_status.json'), 'utf8'), /"last_gc":".* UTC 20/);
  t.ok(count() < before);
  t.match(await repo('check'), { code: 0, stdout: /0 problems/ });
  t.match(await json('gc', ...keep), { objects: 0 });
  t.match(await json('gc', '--keep', third ?? ''), { objects: 0 });
  t.match(await json('gc'), { objects: 2 }, 'what was kept by hand');
  const root = made.head.rootHash.text;
  rmSync(join(storage, 'data', root.slice(0, 2), `${root.slice(2)}C`));
  t.match(await repo('gc', '--yes'), { code: 1, stderr: /GC_REFUSED/ });
});

import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { pinfsInProcess } from '../native-test/in-process.js';
import { testMasterKey, weakMasterKey } from '../lib/publish/keys.js';
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

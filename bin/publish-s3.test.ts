import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { seededRandom } from '../lib/laboratory/random.js';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { startFakeS3 } from '../lib/testing/servers/fake-s3.js';
import { pinfsInProcess } from '../native-test/in-process.js';

// What is published to a bucket, and copied into one, while its server fails.

const fqrn = 'bucket.example.org';
const seed = Number(process.env['PINFS_SEED'] ?? 1);

void t.test('a server that fails in the middle leaves a whole repository', async (t) => {
  const work = t.testdir({ tree: { a: 'old', sub: { '.cvmfscatalog': '', b: 'old too' } } });
  const s3 = await startFakeS3();
  // What clients see.
  const web = await startBadServer((path) => s3.files.get(path), fqrn);
  t.teardown(async () => {
    await web.close();
    await s3.close();
  });
  const at = (name: string): string => join(work, name);
  const env = { ...s3.variables, HOME: work, XDG_CONFIG_HOME: at('config') };
  const run = (...args: string[]) => pinfsInProcess(args, env);
  const place = [fqrn, '--storage', `s3://${s3.bucket}`];
  const publish = () => run('publish', ...place, '--from', at('tree'));
  const key = ['--key', at(`config/pinfs/keys/${fqrn}.pub`)];
  let caches = 0;
  const cat = (source: string) => run('cat', ...key, '--cache', at(`c${caches++}`), source, '/a');
  const free = (): void => {
    s3.fail(undefined);
    // A lock that could not be given back ends after a minute; here nobody waits for that.
    for (const name of s3.files.keys()) if (name.startsWith('.pinfs/lock-')) s3.files.delete(name);
  };
  t.equal((await run('repo', 'create', ...place)).code, 0);
  const edit = (text: string): void => {
    writeFileSync(at('tree/a'), text);
    mkdirSync(at('tree/many'), { recursive: true });
    for (let index = 0; index < 6; index++)
      writeFileSync(at(`tree/many/${index}`), `${text} ${index}`);
  };
  edit('before');
  t.equal((await publish()).code, 0);
  edit('first');
  s3.fail(undefined);
  t.equal((await publish()).code, 0);
  const { changes } = s3;
  t.ok(changes > 10, `${changes} requests that change something`);
  const random = seededRandom(seed);
  let old = 'first';
  for (let round = 0; round < 3; round++) {
    edit(`round ${round}`);
    // The first two are the worst: nothing but the manifest is lacking, or the reflog as well.
    const after = round < 2 ? changes - 2 - round : 3 + Math.floor(random() * (changes - 6));
    s3.fail({ after, by: round % 2 === 0 ? 'error' : 'cut' });
    const text = `round ${round}: it failed after ${after} changes`;
    t.match(await publish(), { code: 1, stderr: /STORAGE_FAILED/ }, text);
    free();
    t.match(await run('repo', 'check', ...place), { code: 0, stdout: /: 0 problems/ }, text);
    t.match(await cat(web.url), { code: 0, stdout: old }, text);
    t.match(await publish(), { code: 0 }, text);
    old = `round ${round}`;
    t.match(await cat(web.url), { code: 0, stdout: old }, text);
  }

  await t.test('and so does one that a mirror is in', async (t) => {
    const copy = `s3://${s3.bucket}/copy`;
    const mirror = () =>
      run('repo', 'mirror', web.url, '--storage', copy, ...key, '--cache', at('cache'));
    const check = () => run('repo', 'check', fqrn, '--storage', copy);
    s3.fail({ after: 12, by: 'error' });
    t.match(await mirror(), { code: 1, stderr: /STORAGE_FAILED/ });
    s3.fail(undefined);
    for (const name of s3.files.keys()) if (name.includes('.pinfs/lock-')) s3.files.delete(name);
    t.notOk(s3.files.has('copy/.cvmfspublished'));
    t.match(await mirror(), { code: 0, stdout: /snapshots; [1-9][0-9]* objects/ });
    t.match(await check(), { code: 0, stdout: /: 0 problems; 0 orphans/ });
    for (const name of ['.cvmfspublished', '.cvmfswhitelist'])
      t.same(s3.files.get(`copy/${name}`), s3.files.get(name), name);
    edit('newer');
    t.equal((await publish()).code, 0);
    t.match(await mirror(), { code: 0 });
    // The tag database of before.
    t.match(await check(), { code: 0, stdout: /: 0 problems; 1 orphans/ });
  });
  rmSync(at('tree'), { recursive: true });
});

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { file, makeRepository, makeSmallRepository } from '../lib/publish/write-repository.js';
import { pinfsInProcess } from '../native-test/in-process.js';

void t.test('the old names of the keys of attest are taken, with a warning', async (t) => {
  const work = t.testdir();
  const at = (name: string): string => join(work, name);
  const made = makeSmallRepository({ a: file('one') });
  const source = `${made.writeTo(work)}@v1`;
  writeFileSync(at('master.pub'), made.masterKey);
  await pinfsInProcess(['key', 'generate', '-o', at('me')]);
  let count = 0;
  const attest = async (...args: string[]) => {
    count += 1;
    const more = ['--cache', at('cache'), '-o', at(`out${count}`), source];
    const result = await pinfsInProcess(['attest', ...args, ...more]);
    return { ...result, out: result.code === 0 ? readFileSync(at(`out${count}`), 'utf8') : '' };
  };
  const right = await attest('--key', at('master.pub'), '--signing-key', at('me'));
  t.match(right, { code: 0, stderr: /^$/, out: /signatures/ });
  const old = await attest('--master-key', at('master.pub'), '--key', at('me'));
  t.match(old, { code: 0, stderr: /is called --signing-key now.*\n.*--key .*master\.pub/ });
  const mixed = await attest('--master-key', at('master.pub'), '--signing-key', at('me'));
  t.match(mixed, { code: 0, stderr: /--master-key is called --key now/ });
  const alone = await attest('--key', at('me'));
  t.match(alone.stderr, /is called --signing-key now/, 'a secret key, which can be no master key');
  t.match(await attest('--key', at('master.pub')), { code: 2, stderr: /no key is given to sign/ });
});

void t.test(
  'a root catalog that the head brought is attested by its hash, and read by that',
  async (t) => {
    const work = t.testdir();
    const at = (name: string): string => join(work, name);
    const made = makeSmallRepository({ a: file('one') });
    const source = made.writeTo(work);
    const root = made.revisions.at(-1)?.rootHash.text ?? '';
    writeFileSync(at('master.pub'), made.masterKey);
    await pinfsInProcess(['key', 'generate', '-o', at('me')]);
    const reading = ['--key', at('master.pub'), '--cache', at('cache')];
    // The manifest promises its size, so that it lies in a segment; a hash alone promises none.
    t.match(await pinfsInProcess(['cat', ...reading, source, '/a']), { code: 0, stdout: 'one' });
    t.ok(existsSync(join(work, 'cache', 'segments')));
    const attest = ['attest', ...reading, '--signing-key', at('me'), '-o', at('out')];
    t.match(await pinfsInProcess([...attest, `${source}@${root}`]), { code: 0, stderr: /^$/ });
    const given = ['--attestation', at('out'), '--signer', at('me.pub')];
    const again = await pinfsInProcess(['cat', '--cache', at('cache'), ...given, source, '/a']);
    t.match(again, { code: 0, stdout: 'one' }, again.stderr);
    const fetched = await pinfsInProcess(['fetch', ...reading, '--json', `${source}@${root}`]);
    t.match(fetched, { code: 0 }, fetched.stderr);
  },
);

void t.test('what was attested is kept by the storage where that is asked for', async (t) => {
  const work = t.testdir();
  const at = (name: string): string => join(work, name);
  const made = makeRepository({
    revisions: ['gone', 'attested', 'before', 'newest'].map((text) => ({
      tree: { a: file(text) },
    })),
  });
  const storage = made.writeTo(work);
  writeFileSync(at('master.pub'), made.masterKey);
  const [, attested] = made.revisions.map(({ rootHash }) => rootHash.text);
  await pinfsInProcess(['key', 'generate', '-o', at('me')]);
  const reading = ['--key', at('master.pub'), '--cache', at('cache')];
  const attest = (out: string, place: string) =>
    pinfsInProcess([
      ...['attest', ...reading, '--signing-key', at('me'), '-o', at(out)],
      ...['--register', place, `${storage}@${attested ?? ''}`],
    ]);
  t.match(await attest('one', storage), { code: 0 });
  t.match(await attest('two', storage), { code: 0 });
  const kept = readFileSync(join(storage, '.pinfs', 'kept'), 'utf8');
  t.match(kept, new RegExp(`^${attested ?? ''} # attested [-0-9]{10}\n$`), 'once');
  const nowhere = await attest('three', at('empty'));
  t.match(nowhere, { code: 5, stderr: /no snapshot .* \[OBJECT_MISSING\]/ });
  t.notOk(existsSync(at('three')));
  const gc = ['repo', 'gc', made.fqrn, '--storage', storage, '--yes'];
  t.match(await pinfsInProcess(gc), { code: 0, stdout: /^[1-9]/ });
  const cat = (hash: string | undefined, cache: string) =>
    pinfsInProcess(['cat', '--cache', at(cache), `${storage}@${hash ?? ''}`, '/a']);
  t.match(await cat(attested, 'c1'), { code: 0, stdout: 'attested' });
  t.match(await cat(made.revisions[0]?.rootHash.text, 'c2'), { code: 5 });
});

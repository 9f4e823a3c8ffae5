import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { file, makeSmallRepository } from '../lib/publish/write-repository.js';
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

import { createHash, generateKeyPairSync } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { PinfsError } from '../../format/errors.js';
import { checkout, genuine, needsGenuine } from '../../testing/genuine.js';
import { otherMasterKey, testMasterKey, weakMasterKey } from '../../publish/keys.js';
import { isOfDomain, loadKeys, parseMasterKeys, type MasterKey } from './keys.js';

const nowhere = '/nonexistent';
const pem = testMasterKey.publicKey;
const other = otherMasterKey.publicKey;

function given(...paths: string[]): MasterKey[] {
  return loadKeys({ given: paths, fqrn: 'repo.example.org', env: {} });
}

function refusal(t: Test, paths: string[]): PinfsError {
  try {
    given(...paths);
  } catch (error) {
    if (error instanceof PinfsError) {
      t.equal(error.code, 'KEY_MALFORMED');
      return error;
    }
  }
  throw new Error('was not refused');
}

void t.test('a given file may have any name, and hold several keys', (t) => {
  const directory = t.testdir({ 'master.txt': `# key of the site\n${pem}\n${other}` });
  const keys = given(join(directory, 'master.txt'));
  t.equal(keys.length, 2);
  t.match(keys[0], { name: join(directory, 'master.txt'), bits: 2048, shipped: false });
  const der = Buffer.from(pem.replace(/-----.*-----|\n/g, ''), 'base64');
  t.equal(keys[0]?.sha256, createHash('sha256').update(der).digest('hex'));
  t.end();
});

void t.test('a given directory is searched for *.pub, all the way down, links followed', (t) => {
  const directory = t.testdir({
    'a.pub': pem,
    'notes.txt': 'not a key',
    deep: { er: { 'b.pub': other } },
    empty: {},
  });
  symlinkSync('deep', join(directory, 'link'));
  symlinkSync('.', join(directory, 'loop'));
  symlinkSync('nothing', join(directory, 'dangling.pub'));
  t.equal(given(directory).length, 2);
  t.equal(given(directory, join(directory, 'a.pub')).length, 2, 'the same key twice counts once');
  refusal(t, [join(directory, 'empty')]);
  t.end();
});

void t.test('PKCS#1 keys are read, weak ones too: the judge refuses them', (t) => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const text = publicKey.export({ type: 'pkcs1', format: 'pem' }).toString();
  t.equal(parseMasterKeys(text, 'x')[0]?.bits, 1024);
  t.equal(parseMasterKeys(weakMasterKey.publicKey, 'x')[0]?.bits, 1024);
  t.end();
});

void t.test('what is no RSA public key is refused, each with its reason', (t) => {
  const ed25519 = generateKeyPairSync('ed25519').publicKey;
  const directory = t.testdir({
    private: testMasterKey.privateKey,
    text: 'hello',
    empty: '',
    damaged: pem.replace('MIIB', 'AAAA'),
    ed25519: ed25519.export({ type: 'spki', format: 'pem' }).toString(),
    large: pem + '#'.repeat(70_000),
  });
  const message = (name: string): string => refusal(t, [join(directory, name)]).message;
  t.match(message('private'), /private key/);
  t.match(message('text'), /no public key/);
  t.match(message('empty'), /no public key/);
  t.match(message('damaged'), /damaged/);
  t.match(message('ed25519'), /not RSA/);
  t.match(message('large'), /too large/);
  t.match(message('absent'), /cannot be read/);
  t.match(refusal(t, ['/dev/zero']).message, /not a file/);
  t.end();
});

void t.test('without --key: the keys of the user, of the system, and shipped ones', (t) => {
  const directory = t.testdir({
    config: { pinfs: { keys: { 'any.folder': { 'user.pub': pem }, 'broken.pub': 'x' } } },
    system: {
      'example.org': { 'system.pub': other },
      'else.org': { 'else.pub': weakMasterKey.publicKey },
    },
  });
  const load = (fqrn: string): string[] =>
    loadKeys({
      given: [],
      fqrn,
      env: { XDG_CONFIG_HOME: join(directory, 'config') },
      system: join(directory, 'system'),
      shipped: nowhere,
    }).map(({ name }) => name.replace(`${directory}/`, ''));
  const user = 'config/pinfs/keys/any.folder/user.pub';
  t.same(load('repo.example.org'), [user, 'system/example.org/system.pub']);
  t.same(load('example.org'), [user, 'system/example.org/system.pub']);
  t.same(load('repo.else.org'), [user, 'system/else.org/else.pub']);
  t.same(load('notexample.org'), [user]);
  t.end();
});

void t.test('XDG_CONFIG_HOME may be unset or empty', (t) => {
  const home = t.testdir({ '.config': { pinfs: { keys: { 'a.pub': pem } } } });
  for (const env of [{ HOME: home }, { HOME: home, XDG_CONFIG_HOME: '' }]) {
    const keys = loadKeys({ given: [], fqrn: 'a.b', env, system: nowhere, shipped: nowhere });
    t.equal(keys.length, 1);
  }
  t.end();
});

function shippedFor(fqrn: string): string[] {
  const env = { XDG_CONFIG_HOME: nowhere };
  const keys = loadKeys({ given: [], fqrn, env, system: nowhere });
  if (!keys.every((key) => key.shipped)) throw new Error('a key that was not shipped');
  return keys.map(({ name }) => name);
}

void t.test('shipped keys are found, and count for their own domain only', (t) => {
  const cern = [
    'cern-it1.cern.ch.pub',
    'cern-it4.cern.ch.pub',
    'cern-it5.cern.ch.pub',
    'cern.ch.pub',
  ];
  t.same(
    shippedFor('atlas.cern.ch'),
    cern.map((name) => `cern.ch/${name}`),
  );
  t.same(shippedFor('repo.example.org'), []);
  t.same(shippedFor('atlas.cern.ch.example.org'), []);
  t.same(shippedFor('evilcern.ch'), []);
  t.same(shippedFor('software.eessi.io'), ['eessi.io/eessi.io.pub']);
  t.end();
});

void t.test('a domain is the name itself or a whole ending of it', (t) => {
  t.equal(isOfDomain('cern.ch', 'cern.ch'), true);
  t.equal(isOfDomain('a.b.cern.ch', 'cern.ch'), true);
  t.equal(isOfDomain('acern.ch', 'cern.ch'), false);
  t.equal(isOfDomain('ch', 'cern.ch'), false);
  t.end();
});

void t.test(
  'every shipped key is an RSA key of at least 2048 bits, in the folder of a domain',
  (t) => {
    const root = join(checkout, 'share', 'keys');
    const folders = readdirSync(root).filter((name) => name !== 'README.md');
    t.ok(folders.length > 20);
    for (const folder of folders) {
      t.match(folder, /^[a-z0-9-]+(\.[a-z0-9-]+)+$/);
      for (const file of readdirSync(join(root, folder))) {
        t.match(file, /\.pub$/);
        const keys = parseMasterKeys(readFileSync(join(root, folder, file), 'latin1'), file);
        t.equal(keys.length, 1);
        t.ok((keys[0]?.bits ?? 0) >= 2048, `${folder}/${file}`);
      }
    }
    t.end();
  },
);

void t.test('every genuine master key is read as its case says', needsGenuine, (t) => {
  interface KeyCase {
    readonly kind: string;
    readonly file: string;
    readonly bits: number;
    readonly spki_sha256: string;
  }
  const text = readFileSync(genuine('production', 'cases.json'), 'utf8');
  const cases = (JSON.parse(text) as { cases: KeyCase[] }).cases.filter(
    ({ kind }) => kind === 'master-public-key',
  );
  t.ok(cases.length >= 57);
  for (const { file, bits, spki_sha256 } of cases) {
    const path = genuine('production', file);
    if (!existsSync(path)) throw new Error(`no ${path}`);
    t.match(given(path), [{ bits, sha256: spki_sha256 }], file);
  }
  t.end();
});

void t.test('a directory with too much in it ends', (t) => {
  const directory = t.testdir({});
  for (let index = 0; index < 1050; index++) writeFileSync(join(directory, `${index}.pub`), pem);
  t.equal(given(directory).length, 1);
  t.end();
});

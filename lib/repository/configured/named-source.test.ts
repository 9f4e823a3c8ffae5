import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import {
  directory,
  file,
  makeRepository,
  makeSmallRepository,
} from '../../publish/write-repository.js';
import { otherMasterKey } from '../../publish/keys.js';
import type { PinfsError } from '../../format/errors.js';
import { serve } from '../../source/serve.js';
import { openRepository } from '../open.js';
import type { Environment } from '../open/environment.js';
import type { OpenOptions } from '../open/options.js';
import { checkSite, siteConfiguration } from './check-site.js';
import { namedSource } from './named-source.js';

interface Scene {
  /** Where repositories lie, by their names. */
  readonly servers: string;
  readonly etc: string;
  readonly work: string;
  readonly warnings: string[];
  readonly environment: Environment;
  readonly options: (source: string, ...set: string[]) => OpenOptions;
  readonly name: (source: string, ...set: string[]) => Promise<OpenOptions>;
}

function scene(t: Test, files: Readonly<Record<string, string>>): Scene {
  const work = t.testdir();
  const [servers, etc] = [join(work, 'servers'), join(work, 'etc')];
  const warnings: string[] = [];
  write(etc, files, work);
  const environment: Environment = {
    variables: {},
    now: () => new Date(),
    report: ({ message }: PinfsError) => warnings.push(message),
  };
  const options = (source: string, ...set: string[]): OpenOptions => ({
    source,
    config: etc,
    cache: join(work, 'cache'),
    set,
  });
  const name = (source: string, ...set: string[]) =>
    namedSource(options(source, ...set), environment);
  return { servers, etc, work, warnings, environment, options, name };
}

function write(root: string, files: Readonly<Record<string, string>>, work: string): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text.replaceAll('WORK', work));
  }
}

const made = makeRepository({
  fqrn: 'sw.example.org',
  revisions: [{ tree: { a: file('one') }, tags: { first: '' } }, { tree: { a: file('two') } }],
});

const plain = {
  'default.conf': 'CVMFS_QUOTA_LIMIT=300\nCVMFS_TIMEOUT=3\nCVMFS_MOUNT_DIR=WORK/cvmfs\n',
  'default.d/50.conf': 'CVMFS_DEFAULT_DOMAIN=example.org\n',
  'domain.d/example.org.conf':
    'CVMFS_SERVER_URL="http://a.example.org/cvmfs/@fqrn@/;http://b.example.org/opt/@org@"\nCVMFS_PUBLIC_KEY=WORK/k.pub\n',
  'default.local': 'CVMFS_HTTP_PROXY="http://p:3128;DIRECT"\n',
};

t.test('a name becomes servers, proxies, keys, and limits', async (t) => {
  const { name, work } = scene(t, plain);
  const wanted = {
    source: 'http://a.example.org/cvmfs/sw.example.org',
    mirrors: ['http://b.example.org/opt/sw'],
    fqrn: 'sw.example.org',
    proxy: 'http://p:3128;DIRECT',
    keys: [join(work, 'k.pub')],
    cacheLimit: 300 * 2 ** 20,
    site: { network: { timeout: 3000 } },
  };
  t.match(await name('sw.example.org'), wanted);
  t.match(
    await name('sw@v1'),
    { ...wanted, source: `${wanted.source}@v1` },
    'with the default domain',
  );
  const given = { ...scene(t, plain).options('sw'), cacheLimit: 5, keys: ['x'], proxy: 'DIRECT' };
  t.match(
    await namedSource(given, scene(t, plain).environment),
    { cacheLimit: 5, keys: ['x'], proxy: 'DIRECT' },
    'what is given wins',
  );
  t.match(await name('sw', 'CVMFS_SERVER_URL=http://c/@fqrn@'), {
    source: 'http://c/sw.example.org',
  });
});

t.test('a pin of the site counts, and the command line wins', async (t) => {
  const { name } = scene(t, {
    ...plain,
    'config.d/sw.example.org.local': 'CVMFS_REPOSITORY_TAG=t1\n',
  });
  const url = 'http://a.example.org/cvmfs/sw.example.org';
  t.match(await name('sw'), {
    source: `${url}@t1`,
    site: { pinNote: /the pin is that of CVMFS_REPOSITORY_TAG \(.*:1\)$/ },
  });
  t.match(await name('sw@t2'), {
    source: `${url}@t2`,
    site: { pinNote: /that of the command line, not of/ },
  });
  const hash = 'a'.repeat(40);
  t.match(
    await name('sw', `CVMFS_ROOT_HASH=${hash}`),
    { source: `${url}@${hash}` },
    'a hash before a tag',
  );
  await t.rejects(name('sw', 'CVMFS_ROOT_HASH=abc'), { code: 'PIN_MALFORMED' });
  await t.rejects(name('sw', 'CVMFS_REPOSITORY_TAG=', 'CVMFS_REPOSITORY_DATE=soon'), {
    code: 'PIN_MALFORMED',
  });
});

t.test('what is not understood is never passed over', async (t) => {
  const { name, etc, warnings } = scene(t, {
    ...plain,
    'default.local':
      'CVMFS_HTTP_PROXY="$(hostname):3128"\nCVMFS_TIMEOUT=$(x)\nCVMFS_REPOSITORIES=$(ls)\n',
    'config.d/pinned.example.org.conf': 'CVMFS_HTTP_PROXY=DIRECT\nCVMFS_ROOT_HASH=$(cat /pin)\n',
  });
  await t.rejects(name('sw'), {
    code: 'USAGE',
    message: `${etc}/default.local:1: CVMFS_HTTP_PROXY: what a command prints`,
    advice: /NAME="value"\. Or give --proxy\./,
  });
  t.match(await name('sw', 'CVMFS_HTTP_PROXY=DIRECT'), { proxy: 'DIRECT' });
  t.match(warnings, [/default\.local:2: CVMFS_TIMEOUT: .*counts as not set/]);
  await t.rejects(name('pinned'), { message: /CVMFS_ROOT_HASH/, advice: /NAME@TAG/ });
  t.match(await name('pinned@v1'), { proxy: 'DIRECT' });
});

t.test('a word is one thing, or an error', async (t) => {
  const { name, work, environment, warnings, options } = scene(t, {
    ...plain,
    'domain.d/example.org.conf': '',
    'config.d/software.example.org.conf': 'CVMFS_SERVER_URL=http://a/@fqrn@\n',
  });
  await t.rejects(name('softwaer.example.org'), {
    code: 'USAGE',
    advice: 'Did you mean software.example.org?',
  });
  await t.rejects(name('nothing'), {
    code: 'USAGE',
    message: /no server is known for nothing.example.org/,
  });
  await t.rejects(name('http://a/b'), { code: 'USAGE', message: /--config and --set/ });
  const before = process.cwd();
  process.chdir(work);
  t.teardown(() => {
    process.chdir(before);
  });
  mkdirSync('software.example.org');
  await t.rejects(name('software.example.org'), {
    code: 'USAGE',
    message: /is a directory here, and the repository/,
  });
  const fromFstab = await namedSource(
    options('software.example.org', 'CVMFS_PUBLIC_KEY=k'),
    environment,
    {
      fromFstab: true,
    },
  );
  t.equal(fromFstab.source, 'http://a/software.example.org', 'wherever mount(8) is called');
  mkdirSync('other.example.org');
  t.match(await name('other.example.org@v1'), { source: './other.example.org@v1' });
  t.match(warnings, [/taken for the directory/]);
  mkdirSync('no name');
  t.match(await namedSource({ source: 'no name@v1' }, environment), {
    source: './no name@v1',
    site: { note: `no name is the directory ${join(process.cwd(), 'no name')}` },
  });
  t.match(warnings, [/^other/, /^no name is taken for the directory/]);
  for (const source of ['./other.example.org', '/x', 'http://a/b@c', 'a/b', '../x', '.', '..', '~'])
    t.same(await namedSource({ source }, environment), { source }, source);
});

t.test('what a name became stands in the verdict', async (t) => {
  const { name, servers, environment, work } = scene(t, {
    ...plain,
    'domain.d/example.org.conf':
      'CVMFS_SERVER_URL=file://WORK/servers/@fqrn@\nCVMFS_KEYS_DIR=WORK/keys\n',
    '../keys/sw.pub': made.masterKey,
    '../keys/other.org/other.pub': otherMasterKey.publicKey,
    'config.d/sw.example.org.conf': 'CVMFS_REPOSITORY_TAG=first\n',
  });
  made.writeTo(servers);
  const options = await name('sw');
  t.same(options.keys, [join(work, 'keys/sw.pub')], 'and what lies in folders below is for others');
  const repository = await openRepository(options, environment);
  t.teardown(() => repository.close());
  t.equal(repository.verdict.revision, 1);
  t.match(
    repository.verdict.summary,
    /; sw\.example\.org is .*servers\/sw\.example\.org \(.*example\.org\.conf:1\); the pin is that of CVMFS_REPOSITORY_TAG/,
  );
});

t.test('a name that no server has is answered with the nearest that the site knows', async (t) => {
  const { name, servers, environment } = scene(t, {
    ...plain,
    'config.d/sw.example.org.conf': '# known\n',
    '../k.pub': made.masterKey,
  });
  made.writeTo(servers);
  const server = await serve(servers);
  t.teardown(() => server.close());
  const set = [`CVMFS_SERVER_URL=${server.url}/@fqrn@`, 'CVMFS_HTTP_PROXY=DIRECT'];
  const opened = async (word: string) => openRepository(await name(word, ...set), environment);
  await t.rejects(opened('swe'), {
    code: 'MANIFEST_MISSING',
    advice: 'Did you mean sw.example.org?',
  });
  const repository = await opened('sw');
  await repository.close();
});

const configRepositoryWith = (more: Record<string, ReturnType<typeof file>>) =>
  makeSmallRepository(
    {
      etc: directory({
        cvmfs: directory({
          ...more,
          'default.conf': file('CVMFS_CONFIG_REPO_DEFAULT_ENV=1\n'),
          'common.conf': file('CVMFS_TIMEOUT=9\n[ -f keys/sw.pub ] || CVMFS_TIMEOUT=1\n'),
          'domain.d': directory({
            'example.org.conf': file(
              'CVMFS_TIMEOUT="$CVMFS_TIMEOUT"\n. ../common.conf\nCVMFS_SERVER_URL=$SERVERS/@fqrn@\n' +
                'CVMFS_KEYS_DIR=$CVMFS_MOUNT_DIR/$CVMFS_CONFIG_REPOSITORY/etc/cvmfs/keys\n',
            ),
            keys: directory({ 'sw.pub': file('') }),
          }),
          keys: directory({ 'sw.pub': file(made.masterKey) }),
        }),
      }),
    },
    { fqrn: 'config.example.com' },
  );
const configRepository = configRepositoryWith({});

const withRepository = {
  ...plain,
  'default.d/60.conf': 'CVMFS_CONFIG_REPOSITORY=config.example.com\nSERVERS=file://WORK/servers\n',
  'domain.d/example.org.conf': '',
  'config.d/config.example.com.conf':
    'CVMFS_SERVER_URL=file://WORK/servers/@fqrn@\nCVMFS_PUBLIC_KEY=WORK/config.pub\n',
  '../config.pub': configRepository.masterKey,
};

t.test('the config repository is read from a verified snapshot', async (t) => {
  const { name, servers, environment, options, warnings, work } = scene(t, withRepository);
  made.writeTo(servers);
  configRepository.writeTo(servers);
  const named = await name('sw');
  t.match(named, { source: join(servers, 'sw.example.org'), site: { network: { timeout: 9000 } } });
  t.match(
    named.keys?.map((key) => basename(key)),
    [/-sw\.pub$/],
    'with its keys',
  );
  const repository = await openRepository(named, environment);
  t.equal(repository.verdict.status, 'verified');
  await repository.close();
  const found = await siteConfiguration('sw', options(''), environment);
  t.match(found.settings.get('CVMFS_TIMEOUT'), {
    value: '9',
    origin: { file: join(work, 'cvmfs/config.example.com/etc/cvmfs/common.conf'), line: 1 },
    overrode: [{ value: '3' }],
  });
  t.same(warnings, []);
  const findings = await checkSite('sw', options(''), environment);
  t.same(
    findings.filter(({ severity }) => severity === 'error'),
    [],
  );
});

t.test('616-blacklistconfigrepo: the blacklist of the config repository counts', async (t) => {
  const { name, servers, environment, work } = scene(t, withRepository);
  made.writeTo(servers);
  configRepositoryWith({ blacklist: file('<sw.example.org 99\n') }).writeTo(servers);
  await t.rejects(openRepository(await name('sw'), environment), { code: 'REVISION_BLACKLISTED' });
  const own = join(work, 'blacklist');
  writeFileSync(own, '# nothing\n');
  const named = { ...(await name('sw')), blacklist: own };
  await t.rejects(openRepository(named, environment), { code: 'REVISION_BLACKLISTED' });
});

t.test('a config repository that is gone is read from the cache, and that is told', async (t) => {
  const { name, servers, warnings, work } = scene(t, withRepository);
  configRepository.writeTo(servers);
  const wanted = { site: { network: { timeout: 9000 } } };
  t.match(await name('sw'), wanted);
  renameSync(join(servers, 'config.example.com'), join(work, 'elsewhere'));
  t.match(await name('sw'), wanted);
  t.match(warnings, [/the config repository config\.example\.com is read offline: /]);
});

t.test('a config repository that is not verified is not read', async (t) => {
  const { name, servers, warnings, work, etc } = scene(t, {
    ...withRepository,
    '../config.pub': otherMasterKey.publicKey,
  });
  made.writeTo(servers);
  configRepository.writeTo(servers);
  await t.rejects(name('sw'), { code: 'USAGE', message: /no server is known/ });
  t.match(warnings, [/config repository config.example.com can't be verified/]);
  await t.rejects(name('sw', 'CVMFS_CONFIG_REPO_REQUIRED=yes'), { code: 'WHITELIST_SIGNATURE' });
  // As another client has it.
  write(
    join(work, 'cvmfs/config.example.com/etc/cvmfs'),
    {
      'config.d/sw.example.org.conf':
        'CVMFS_SERVER_URL=http://mounted/@fqrn@\nCVMFS_PUBLIC_KEY=/k\n',
    },
    work,
  );
  t.match(await name('sw', 'CVMFS_CONFIG_REPO_REQUIRED=yes'), {
    source: 'http://mounted/sw.example.org',
  });
  t.match(warnings.at(-1), /read as it is mounted/);
  t.ok(etc);
});

t.test('what is wrong with a site is found, with its line and a mend', async (t) => {
  const { options, environment, etc } = scene(t, {
    ...plain,
    'default.local':
      'CVMFS_HTTP_PROXIES=DIRECT\nCVMFS_HTTP_PROXY="http://p:3128; DIRECT"\nCVMFS_QUOTA_LIMIT=99999999999\n' +
      'CVMFS_USE_GEOAPI=perhaps\nCVMFS_TIMEOUT=5s\nCVMFS_REPOSITORIES=$(ls /cvmfs)\n',
    'config.d/sw.example.org.local': 'CVMFS_PUBLIC_KEY=/gone/k.pub:WORK\n',
    'domain.d/example.com.conf':
      'CVMFS_SERVER_URL="cvmfs.example.com/@fqrn@;;http://a/@frqn@"\nCVMFS_KEYS_DIR=/gone\nCVMFS_HTTP_PROXY=\n',
  });
  const findings = await checkSite(undefined, options(''), environment);
  const local = (line: number) => ({ file: join(etc, 'default.local'), line });
  const has = (severity: string, text: RegExp, origin?: object): void => {
    const one = findings.find(
      (finding) => finding.severity === severity && text.test(finding.text),
    );
    t.ok(one, String(text));
    t.not(one?.mend, '');
    if (origin !== undefined) t.match(one?.origin, origin, String(text));
  };
  has('warning', /^CVMFS_HTTP_PROXIES: no parameter/, local(1));
  has('error', /^CVMFS_HTTP_PROXY: there are blanks/, local(2));
  has('warning', /^CVMFS_QUOTA_LIMIT: .*larger than its partition/, local(3));
  has('warning', /neither on nor off/, local(4));
  has('error', /'5s' is no number/, local(5));
  has('error', /CVMFS_REPOSITORIES: .*no command is run/, local(6));
  has('error', /the key \/gone\/k.pub is not there/, { line: 1 });
  has('error', /the key .* can't be read/, { line: 1 });
  has('error', /'cvmfs.example.com\/example.example.com' is no URL/, { line: 1 });
  has('warning', /an element is empty/);
  has('warning', /nothing stands for @frqn@/);
  has('error', /the directory \/gone is not there/);
  has('error', /the list of proxies is empty/, { line: 3 });
  await t.rejects(checkSite('not a name', options(''), environment), { code: 'USAGE' });
});

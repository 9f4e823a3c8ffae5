import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import t, { type Test } from 'tap';
import { file, makeRepository } from '../lib/publish/write-repository.js';
import { pinfsInProcess } from '../native-test/in-process.js';
import { mountCommand, mountSpec, type MountFlags } from './commands/mount.js';
import { applySettings } from './commands/settings.js';

const made = makeRepository({
  fqrn: 'sw.example.org',
  revisions: [{ tree: { a: file('one') }, tags: { first: '' } }, { tree: { b: file('two') } }],
});

interface User {
  readonly home: string;
  readonly settings: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly pinfs: (...args: string[]) => Promise<{ code: number; stdout: string; stderr: string }>;
}

/** A user with this config.toml, in which the repository lies at ./sw.example.org. */
function user(t: Test, toml: string): User {
  const home = t.testdir();
  const settings = join(home, 'config', 'pinfs', 'config.toml');
  mkdirSync(dirname(settings), { recursive: true });
  made.writeTo(dirname(settings));
  writeFileSync(join(dirname(settings), 'sw.pub'), made.masterKey);
  writeFileSync(settings, toml);
  const variables = {
    XDG_CONFIG_HOME: join(home, 'config'),
    XDG_CACHE_HOME: join(home, 'cache'),
    XDG_STATE_HOME: join(home, 'state'),
  };
  return { home, settings, variables, pinfs: (...args) => pinfsInProcess(args, variables) };
}

const sw = '[sources.sw]\nsource = "./sw.example.org"\nkey = "sw.pub"\n';

void t.test('a word stands for a source, its pin and its options', async (t) => {
  const { pinfs } = user(
    t,
    `${sw}\n[sources.old]\nsource = "./sw.example.org@first"\nkey = "sw.pub"\n`,
  );
  t.match(await pinfs('ls', 'sw'), { code: 0, stdout: 'b\n' });
  t.match(await pinfs('ls', 'sw@first', '/'), { code: 0, stdout: 'a\n' });
  t.match(await pinfs('cat', 'old', '/a'), { code: 0, stdout: 'one' });
  t.match(await pinfs('ls', 'old@HEAD'), { stdout: 'b\n' }, 'a pin behind the word counts more');
  t.match((await pinfs('tags', 'sw')).stdout, /^first /m);
  t.match(await pinfs('explain', 'sw@first', '/a'), { code: 0 });
});

void t.test('command line, environment, file of the user: in this order', async (t) => {
  const { pinfs, variables, settings } = user(
    t,
    `cache_limit = "300M"\n${sw}cache_limit = "200M"\n`,
  );
  const limit = async (args: string[], more = {}): Promise<unknown> => {
    const command = mountCommand(new Command('mount')).action(() => undefined);
    await command
      .hook('preAction', (_, one) => applySettings(one, { ...variables, ...more }))
      .parseAsync([...args, '/mnt'], { from: 'user' });
    const [source = '', mountpoint = ''] = command.processedArgs as string[];
    return mountSpec(source, mountpoint, command.opts<MountFlags>()).options;
  };
  const M = 2 ** 20;
  const place = join(dirname(settings), 'sw.example.org');
  const keys = [join(dirname(settings), 'sw.pub')];
  t.match(await limit(['/srv/x']), { source: '/srv/x', cacheLimit: 300 * M });
  t.match(await limit(['sw@v1']), { source: `${place}@v1`, cacheLimit: 200 * M, keys });
  t.match(await limit(['./sw']), { source: './sw', cacheLimit: 300 * M }, 'a path is a path');
  const environment = { PINFS_CACHE_LIMIT: '100M' };
  t.match(await limit(['sw'], environment), { cacheLimit: 100 * M });
  t.match(await limit(['--cache-limit', '50M', 'sw'], environment), { cacheLimit: 50 * M });
  t.match(await limit(['--key', '/k', 'sw']), { keys: ['/k'] });
  t.match(
    (await pinfs('config', 'show')).stdout,
    new RegExp(`^cache_limit +"300M" +${settings}:1$`, 'm'),
  );
});

void t.test('what is wrong in the file is refused, but where nothing is opened', async (t) => {
  const { pinfs, settings } = user(t, '\ncache_limt = "300M"\n');
  const wrong = { code: 2, stderr: `${settings}:2: 'cache_limt' is no setting` };
  for (const args of [
    ['ls', '/nowhere'],
    ['cache', 'size'],
    ['config', 'show'],
  ])
    t.match(await pinfs(...args), wrong, args.join(' '));
  t.match(await pinfs('config', 'path'), { code: 0, stdout: `${settings}\n` });
  t.match(await pinfs('status'), { code: 0 });
  writeFileSync(settings, 'cache_limit = "much"\n');
  t.match(await pinfs('cache', 'size'), { code: 0 }, 'it has no such option');
  t.match(await pinfs('ls', '/nowhere'), {
    code: 2,
    stderr: new RegExp(`${settings}:1: 'much': 'much' is no size`),
  });
});

void t.test('config edit makes the file, opens it, and looks at what became of it', async (t) => {
  const { home, variables } = user(t, '');
  const config = { ...variables, XDG_CONFIG_HOME: join(home, 'new') };
  const edit = (EDITOR: string) =>
    pinfsInProcess(['config', 'edit'], { ...config, VISUAL: '', EDITOR });
  const file = join(home, 'new', 'pinfs', 'config.toml');
  t.match(await edit('true'), { code: 0, stdout: `${file}: 0 settings, 0 sources\n` });
  t.match(readFileSync(file, 'utf8'), /# cache_limit = "4G"/);
  t.match(await edit(`sed -i 's/^# cache_limit/cache_limit/'`), { stdout: /: 1 settings/ });
  t.match(await edit(`sed -i 's/^cache_limit/limit/'`), {
    code: 2,
    stderr: /'limit' is no setting/,
  });
  t.match(await edit('false'), { code: 2, stderr: /the editor 'false' failed: exit code 1/ });
  const { own } = JSON.parse(
    (await pinfsInProcess(['config', 'show', '--json'], { ...variables, PINFS_DRIVER: 'kernel' }))
      .stdout,
  ) as { own: { settings: { name: string }[] } };
  t.match(
    own.settings.find(({ name }) => name === 'driver'),
    { value: 'kernel', origin: { variable: 'PINFS_DRIVER' } },
  );
});

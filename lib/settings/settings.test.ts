import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { lineOf } from './lines.js';
import { settingsFiles, settingsPlaces } from './places.js';
import { readSettings, parseSettings } from './read.js';
import { ownRows, ownSettings, ownSources } from './show.js';
import { settingsTemplate } from './template.js';

const text = `
cache_limit = "300M"
key = ["~/a.pub", "b.pub", "/c.pub"]
[sources.atlas]
source = "http://server/cvmfs/atlas.example.org@v1"
mirror = "http://other/@fqrn@"
deadline = 20
weak_key = true
[sources]
site = "sw.example.org"
`;

void t.test('values are texts of the command line, each with its line', (t) => {
  const { settings, sources } = parseSettings('/etc/x/config.toml', text);
  const { texts = [], origin } = settings.get('key') ?? {};
  t.same(texts, [join(homedir(), 'a.pub'), '/etc/x/b.pub', '/c.pub']);
  t.same(origin, { file: '/etc/x/config.toml', line: 3 });
  t.same(settings.get('cache_limit')?.texts, ['300M']);
  const atlas = sources.get('atlas');
  t.equal(atlas?.source, 'http://server/cvmfs/atlas.example.org@v1');
  t.equal(atlas?.origin.line, 4);
  t.same(
    [...(atlas?.settings ?? [])].map(([name, one]) => [name, one.texts, one.origin.line]),
    [
      ['mirror', ['http://other/@fqrn@'], 6],
      ['deadline', ['20'], 7],
      ['weak_key', ['true'], 8],
    ],
  );
  t.equal(sources.get('site')?.source, 'sw.example.org', 'the short form');
  t.end();
});

void t.test('what is wrong is said with its line, and what may be meant', (t) => {
  const cases: [string, RegExp, RegExp][] = [
    ['\ncache_limt = "1G"', /^f:2: 'cache_limt' is no setting$/, /^Did you mean cache_limit\?/],
    ['[source.x]\nsource = "a"', /^f:1: 'source' is no setting/, /Did you mean sources\?/],
    ['colour = 1', /'colour' is no setting/, /^Known: sources, mounts, key,/],
    ['[sources.a]\nsource="/b"\nkeey="k"', /^f:3: 'keey' is no setting of a source/, /mean key\?/],
    ['[sources.a]\nkey="k"', /^f:1: the source 'a' leads nowhere/, /source = "http/],
    ['[sources]\n"a/b" = "c"', /^f:2: 'a\/b' can't stand for a source/, /Letters/],
    ['sources = 1', /^f:1: 'sources' is no table/, /\[sources.NAME\]/],
    ['mounts = 1', /^f:1: 'mounts' is no table/, /\[mounts\]/],
    ['[mounts]\n"/a" = 1', /^f:2: nothing can be mounted on '\/a'/, /SOURCE@PIN/],
    ['cache = ["a", "b"]', /^f:1: 'cache' is no text/, /Write cache = "value"\./],
    ['cache = ""', /'cache' is no text/, /Write cache/],
    ['key = { a = 1 }', /'key' is no text/, /\["one", "other"\]/],
    ['[sources.a]\nsource="/b"\nweak_key="yes"', /^f:3: 'weak_key' is on or off/, /true or false/],
    ['a = 1\nb = = 2', /^f:2: this is no TOML: /, /pinfs config edit/],
    ['__proto__ = 1', /'__proto__' is no setting/, /Known/],
  ];
  for (const [text, message, advice] of cases)
    t.throws(() => parseSettings('f', text), { code: 'USAGE', message, advice }, text);
  t.throws(() => parseSettings('f', `x = ${'['.repeat(20_000)}`), { code: 'USAGE' });
  t.end();
});

void t.test('a file that others may write is not heeded, nor one that is no file', (t) => {
  const file = join(t.testdir({ 'config.toml': 'cache_limit = "1G"' }), 'config.toml');
  t.equal(readSettings(file).settings.size, 1);
  chmodSync(file, 0o666);
  t.throws(() => readSettings(file), { code: 'USAGE', message: /others may write/ });
  t.throws(() => readSettings(t.testdirName), { code: 'USAGE', message: /can't read/ });
  t.end();
});

void t.test(
  'the user comes before the machine, and without a home there is the machine alone',
  (t) => {
    const home = t.testdir();
    mkdirSync(join(home, 'pinfs'));
    writeFileSync(join(home, 'pinfs', 'config.toml'), '');
    const places = settingsPlaces({ XDG_CONFIG_HOME: home });
    t.same(places, { user: join(home, 'pinfs/config.toml'), machine: '/etc/pinfs/config.toml' });
    const machine = join(home, 'pinfs');
    t.same(settingsFiles({ ...places, machine }), [places.user, machine]);
    t.same(settingsFiles({ user: undefined, machine: join(home, 'none') }), []);
    t.end();
  },
);

void t.test(
  'of each setting it is told where it comes from, and what it stands in place of',
  (t) => {
    const files = [
      parseSettings('/u', 'cache_limit = "2G"\nkey = "/k"\nsources.a = "/user"'),
      parseSettings(
        '/m',
        'cache_limit = "3G"\ndriver = "kernel"\nsources.a = "/m"\nsources.b = "/b"',
      ),
    ];
    const given = new Map([['cache_limit', ['1G']]]);
    const variables = { PINFS_CACHE_LIMIT: '4G', PINFS_KEY: '/x:/y', XDG_CACHE_HOME: '/cache' };
    const settings = new Map(ownSettings(given, variables, files).map((one) => [one.name, one]));
    t.match(settings.get('cache_limit'), {
      value: '1G',
      origin: { option: '--cache-limit' },
      overrode: [
        { value: '4G', origin: { variable: 'PINFS_CACHE_LIMIT' } },
        { value: '2G', origin: { file: '/u', line: 1 } },
        { value: '3G', origin: { file: '/m', line: 1 } },
      ],
    });
    t.match(settings.get('key'), { value: ['/x', '/y'], overrode: [{ value: ['/k'] }] });
    t.match(settings.get('cache'), { value: '/cache/pinfs', origin: { default: true } });
    const rows = ownRows([...settings.values()], ownSources(files));
    t.ok(rows.some((row) => row.join() === ',"2G",/u:1,overridden'));
    t.same(
      ownSources(files).map(({ name, source }) => [name, source]),
      [
        ['a', '/user'],
        ['b', '/b'],
      ],
    );
    t.end();
  },
);

void t.test('what a new file begins with is right once the marks of its comments are gone', (t) => {
  t.equal(parseSettings('f', settingsTemplate()).settings.size, 0);
  const all = settingsTemplate().replace(/^# (?=\w+ = |\[sources)/gm, '');
  const { settings, sources } = parseSettings('f', all);
  t.same([...settings.keys()].sort(), [
    'cache',
    'cache_limit',
    'driver',
    'key',
    'metrics',
    'proxy',
  ]);
  t.same([...sources.keys()], ['atlas']);
  t.end();
});

void t.test('lines are found in each of the usual forms', (t) => {
  const text = 'a = 1\n["b".c]\n d . "e f" = 2\n[g]\nh = { i = 3 }\n';
  t.equal(lineOf(text, ['a']), 1);
  t.equal(lineOf(text, ['b', 'c', 'd', 'e f']), 3);
  t.equal(lineOf(text, ['b', 'c', 'x']), 2, 'the header of its table');
  t.equal(lineOf(text, ['g', 'h', 'i']), 5, 'the line of its inline table');
  t.equal(lineOf(text, ['z']), 1);
  t.end();
});

import { mkdirSync } from 'node:fs';
import t from 'tap';
import { openSource } from './open.js';
import { defaultFqrn, isUrl, splitSourcePin } from './source-pin.js';
import { escapePath } from './path.js';

const never = (): boolean => false;
const always = (): boolean => true;

void t.test('the pin of a URL is behind the first @ after the authority', (t) => {
  const split = (text: string): [string, string | undefined] => {
    const { source, pin } = splitSourcePin(text, always);
    return [source, pin];
  };
  t.same(split('http://h/cvmfs/a.b'), ['http://h/cvmfs/a.b', undefined]);
  t.same(split('http://h/cvmfs/a.b@v1'), ['http://h/cvmfs/a.b', 'v1']);
  t.same(split('http://h/a.b@v1@x'), ['http://h/a.b', 'v1@x'], 'tags may have an @');
  t.same(split('http://h/a.b@http://x/@y'), ['http://h/a.b', 'http://x/@y']);
  t.same(split('http://user:p@ss@h:80/a.b@v1'), ['http://user:p@ss@h:80/a.b', 'v1']);
  t.same(split('http://user@h'), ['http://user@h', undefined]);
  t.same(split('HTTPS://h/a@2015-01-01T00:00:00Z'), ['HTTPS://h/a', '2015-01-01T00:00:00Z']);
  t.same(split('http://h/a@'), ['http://h/a', ''], 'an empty pin is not none');
  t.end();
});

void t.test('the pin of a directory is behind the last @ unless the whole exists', (t) => {
  t.same(splitSourcePin('/srv/a.b', never), { source: '/srv/a.b', pin: undefined });
  t.same(splitSourcePin('/srv/a.b@v1', never), { source: '/srv/a.b', pin: 'v1' });
  t.same(splitSourcePin('/srv/me@home/a.b@v1', never), { source: '/srv/me@home/a.b', pin: 'v1' });
  t.same(splitSourcePin('/srv/me@home', always), { source: '/srv/me@home', pin: undefined });
  const directory = t.testdir();
  mkdirSync(`${directory}/me@home`);
  const whole = `${directory}/me@home`;
  t.same(splitSourcePin(whole), { source: whole, pin: undefined }, 'the disk is asked');
  t.same(splitSourcePin(`${whole}@v1`), { source: whole, pin: 'v1' });
  t.end();
});

void t.test('the name is the last component', (t) => {
  t.equal(defaultFqrn('http://h/cvmfs/atlas.cern.ch'), 'atlas.cern.ch');
  t.equal(defaultFqrn('http://u:p@h/cvmfs/atlas.cern.ch///'), 'atlas.cern.ch');
  t.equal(defaultFqrn('http://h/a%2eb'), 'a.b');
  t.equal(defaultFqrn('http://h/a%zz'), 'a%zz');
  t.equal(defaultFqrn('/srv/cvmfs/atlas.cern.ch/'), 'atlas.cern.ch');
  t.equal(defaultFqrn('.'), process.cwd().replace(/.*\//, ''));
  t.end();
});

void t.test('URLs and directories are told apart', async (t) => {
  t.ok(isUrl('https://h/x'));
  t.notOk(isUrl('http:/h/x'));
  t.notOk(isUrl('ftp://h/x'));
  const web = openSource('http://h/a.b/');
  t.equal(web.label, 'http://h/a.b');
  await web.close();
  t.equal(openSource(t.testdir()).label, t.testdirName);
  t.throws(() => openSource('ftp://h/x'), { code: 'SOURCE_UNREACHABLE' });
  t.throws(() => openSource('http://:::/'), { code: 'USAGE' });
  t.throws(() => openSource('http://h/a?b=c'), { code: 'USAGE' });
  t.throws(() => openSource('http://h/a#b'), { code: 'USAGE' });
  t.throws(() => openSource('http://user:secret@:::/'), {
    message: /^(?!.*secret)/,
  });
});

void t.test('paths are encoded byte by byte', (t) => {
  t.equal(escapePath('data/ab/c-rmd160P'), 'data/ab/c-rmd160P');
  t.equal(escapePath('/a b/%41?#'), 'a%20b/%2541%3F%23');
  t.equal(escapePath('\xc3\xbc\xff'), '%C3%BC%FF');
  t.equal(escapePath(':.@+-_~[],'), ':.@+-_~[],', 'as the reference leaves them');
  t.end();
});

t.test('a URL of another kind is none, and its credentials are not repeated', (t) => {
  for (const url of ['ftp://user:secret@host/x', 'htps://user:secret@host/x@v1', 'S3://h/x']) {
    try {
      splitSourcePin(url, () => false);
      t.fail(url);
    } catch (error) {
      t.match(error, { code: 'USAGE', message: /begins no source/ });
      t.notMatch(String(error), 'secret');
    }
  }
  t.same(
    splitSourcePin('a:b@v1', () => false),
    { source: 'a:b', pin: 'v1' },
    'a directory',
  );
  t.end();
});

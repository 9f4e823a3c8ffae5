import { dirname } from 'node:path';
import t from 'tap';
import type { Configuration } from './configuration.js';
import { evaluateSite, type Site } from './layers.js';
import { localSite } from './local-site.js';
import { shownSettings } from './show.js';

type Texts = Readonly<Record<string, string>>;

/** A site whose files are these, by their paths below /etc/cvmfs; `repository` by their paths in the config repository. */
function site(files: Texts, more: Partial<Site> = {}, repository: Texts = {}): Site {
  const text = (path: string): string | undefined => files[path.replace('/etc/cvmfs/', '')];
  const bytes = (found: string | undefined): Buffer | undefined =>
    found === undefined ? undefined : Buffer.from(found);
  return {
    ...localSite('/etc/cvmfs', {}),
    read: (path) => bytes(text(path)),
    look: () => undefined,
    list: (directory) =>
      Object.keys(files)
        .filter((path) => dirname(`/etc/cvmfs/${path}`) === directory)
        .map((path) => path.replace(/.*\//, '')),
    repositoryFiles: {
      read: (name, path) => bytes(name === 'config.org' ? repository[path] : undefined),
      look: () => undefined,
    },
    ...more,
  };
}

const say = (place: string): string => `LAST=${place}\nCVMFS_SEEN="$CVMFS_SEEN ${place}"\n`;

const everywhere = {
  'default.conf': `CVMFS_MOUNT_DIR=/cvmfs\n${say('default.conf')}`,
  'default.d/60.conf': say('60'),
  'default.d/50.conf': `CVMFS_CONFIG_REPOSITORY=config.org\n${say('50')}`,
  'default.d/ignored.local': say('ignored'),
  'default.local': `CVMFS_CONFIG_REPOSITORY=other.org\n${say('default.local')}`,
  'domain.d/a.org.conf': say('domain.conf'),
  'domain.d/a.org.local': say('domain.local'),
  'config.d/sw.a.org.conf': say('config.conf'),
  'config.d/sw.a.org.local': say('config.local'),
};
const inRepository = {
  '/etc/cvmfs/default.conf': say('R-default'),
  '/etc/cvmfs/domain.d/a.org.conf': say('R-domain'),
  '/etc/cvmfs/config.d/sw.a.org.conf': say('R-config'),
};

function valueOf({ settings }: Configuration, name: string): string | undefined {
  return settings.get(name)?.value;
}

t.test('files are read in the order of the reference', (t) => {
  const found = evaluateSite('sw.a.org', site(everywhere, {}, inRepository));
  t.equal(
    valueOf(found, 'CVMFS_SEEN'),
    'default.conf 50 60 R-default default.local R-domain domain.conf domain.local R-config config.conf config.local',
  );
  t.equal(valueOf(found, 'LAST'), 'config.local', 'and a later value wins');
  const last = found.settings.get('LAST');
  t.same(last?.origin, { file: '/etc/cvmfs/config.d/sw.a.org.local', line: 1 });
  t.same(last?.overrode[0], {
    value: 'config.conf',
    origin: { file: '/etc/cvmfs/config.d/sw.a.org.conf', line: 1 },
  });
  t.equal(last?.overrode.length, 10);
  t.equal(
    valueOf(evaluateSite('', site(everywhere)), 'CVMFS_SEEN'),
    'default.conf 50 60 default.local',
    'what holds for all',
  );
  t.end();
});

t.test('the config repository is fixed behind default.d, and not read for itself', (t) => {
  const found = evaluateSite('sw.a.org', site(everywhere, {}, inRepository));
  t.equal(valueOf(found, 'CVMFS_CONFIG_REPOSITORY'), 'config.org');
  t.match(found.problems, [{ severity: 'warning', text: /fixed behind default\.d/, line: 1 }]);
  const itself = evaluateSite('config.org', site(everywhere, {}, inRepository));
  t.notMatch(valueOf(itself, 'CVMFS_SEEN'), /R-/);
  const hostile = { ...everywhere, 'default.d/50.conf': 'CVMFS_CONFIG_REPOSITORY=../../tmp\n' };
  t.equal(evaluateSite('sw.a.org', site(hostile, {}, inRepository)).configRepository, '');
  t.end();
});

t.test('what is set on the command line is there first, and no file changes it', (t) => {
  const given = new Map([
    ['CVMFS_USE_CDN', 'yes'],
    ['CVMFS_TIMEOUT', '9'],
    ['CVMFS_URL', 'http://h/@fqrn@'],
  ]);
  const files = {
    'default.conf':
      'CVMFS_USE_CDN=no\nexport CVMFS_TIMEOUT=5\nif [ "$CVMFS_USE_CDN" = yes ]; then\nA=cdn\nfi\n',
  };
  const found = evaluateSite('sw.a.org', site(files, { given }));
  t.equal(valueOf(found, 'A'), 'cdn');
  t.match(found.settings.get('CVMFS_TIMEOUT'), { value: '9', origin: { option: '--set' } });
  t.equal(valueOf(found, 'CVMFS_URL'), 'http://h/sw.a.org');
  t.same(found.problems, []);
  t.end();
});

t.test('templates, and what is no template', (t) => {
  const files = { 'default.conf': 'A=@fqrn@/@org@/@other@/a@b.c/@@fqrn@\n' };
  t.equal(
    valueOf(evaluateSite('sw.a.org', site(files)), 'A'),
    'sw.a.org/sw/@other@/a@b.c/@sw.a.org',
  );
  t.end();
});

t.test('only files below the configuration are sourced', (t) => {
  const files = {
    'default.conf': 'A=1\n. ../passwd\nB=2\n',
    'default.local': '. /etc/cvmfs/common\nC="$C"\n',
    common: 'C=3\n',
  };
  const found = evaluateSite('', site(files));
  t.match(found.problems, [{ text: /\/etc\/passwd lies outside of \/etc\/cvmfs/, line: 2 }]);
  t.equal(valueOf(found, 'C'), '3');
  t.end();
});

t.test('named files are read and no others', (t) => {
  const onlyFiles = ['/etc/cvmfs/default.local', '/etc/cvmfs/gone'];
  const found = evaluateSite('sw.a.org', site(everywhere, { onlyFiles }, inRepository));
  t.equal(valueOf(found, 'CVMFS_SEEN'), 'default.local');
  t.match(found.problems, [{ file: '/etc/cvmfs/gone', severity: 'error' }]);
  t.end();
});

t.test('what is not known in one file is not known in the next', (t) => {
  const files = {
    'default.conf': 'CVMFS_TIMEOUT=$(x)\nCVMFS_MAX_RETRIES=1\n',
    'default.local': 'CVMFS_MAX_RETRIES="$CVMFS_TIMEOUT"\n',
  };
  const [retries, timeout] = shownSettings(evaluateSite('', site(files)));
  t.match(retries, { name: 'CVMFS_MAX_RETRIES', value: null, note: /depends on CVMFS_TIMEOUT/ });
  t.match(timeout, { name: 'CVMFS_TIMEOUT', value: null, note: /no command is run/ });
  t.end();
});

t.test('the environment is seen by the files, and is no value by itself', (t) => {
  const environment = { CVMFS_USE_CDN: 'yes', CVMFS_OTHER: 'x' };
  const files = { 'default.conf': 'CVMFS_USE_CDN="$CVMFS_USE_CDN"\n' };
  const found = evaluateSite('', site(files, { environment }));
  t.same([...found.settings.keys()], ['CVMFS_USE_CDN']);
  t.equal(valueOf(found, 'CVMFS_USE_CDN'), 'yes');
  t.end();
});

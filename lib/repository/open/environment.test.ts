import { chownSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  checkFqrn,
  directories,
  givenLinkVariables,
  trustTime,
  type Environment,
} from './environment.js';

function environment(variables: Record<string, string>): Environment {
  return { variables, now: () => new Date(0) };
}

t.test('cache and state lie where XDG says, or in the directory that was given', (t) => {
  const home = environment({ HOME: '/home/u', XDG_CACHE_HOME: '/c', XDG_STATE_HOME: 'relative' });
  t.same(directories({ source: '' }, home), {
    cache: '/c/pinfs',
    state: '/home/u/.local/state/pinfs',
  });
  t.same(directories({ source: '', cache: '/x' }, home), { cache: '/x', state: '/x/state' });
  const empty = { code: 'USAGE', message: '--cache is empty' };
  t.throws(() => directories({ source: '', cache: '' }, home), empty, 'not the working directory');
  t.end();
});

t.test('links see what was given and CVMFS_*, and nothing else of the environment', (t) => {
  const secret = environment({
    TOKEN: 's3cret',
    CVMFS_SITE: 'here',
    SET: 'v',
    CVMFS_FQRN: 'forged',
  });
  const variables = givenLinkVariables(
    ['SET', 'EMPTY=', 'A=b=c', 'UNSET'],
    'sw.example.org',
    secret,
  );
  t.match(variables, { SET: 'v', EMPTY: '', A: 'b=c', CVMFS_SITE: 'here' });
  t.equal(variables['CVMFS_FQRN'], 'sw.example.org');
  t.type(variables['CVMFS_ARCH'], 'string');
  t.notOk('TOKEN' in variables);
  t.notOk('UNSET' in variables);
  t.throws(() => givenLinkVariables(['=x'], 'sw.example.org', secret), { code: 'USAGE' });
  t.end();
});

t.test('a moment of trust is a date', (t) => {
  t.equal(trustTime(undefined), undefined);
  t.equal(trustTime('2015-06-10T12:05:00Z')?.toISOString(), '2015-06-10T12:05:00.000Z');
  t.throws(() => trustTime('2015-06'), { code: 'USAGE' });
  t.end();
});

t.test('a name that could leave its directory is no repository', (t) => {
  t.equal(checkFqrn('analysis.example.org'), 'analysis.example.org');
  for (const name of ['', '..', '.hidden', 'a/b', 'a b', 'x'.repeat(256)]) {
    t.throws(() => checkFqrn(name), { code: 'USAGE' }, JSON.stringify(name));
  }
  t.end();
});

void t.test("a state of one's own beside a cache of somebody else's", (t) => {
  const cache = t.testdir({ state: {} });
  const variables: Record<string, string> = { HOME: '/home/somebody' };
  const state = () => directories({ source: '', cache }, environment(variables)).state;
  t.equal(state(), join(cache, 'state'));
  if (process.geteuid?.() === 0) {
    chownSync(join(cache, 'state'), 4321, 4321);
    t.equal(state(), '/home/somebody/.local/state/pinfs');
    rmdirSync(join(cache, 'state'));
    t.equal(state(), join(cache, 'state'), 'it is ours to make');
    chownSync(cache, 4321, 4321);
    t.equal(state(), '/home/somebody/.local/state/pinfs');
  }
  t.end();
});

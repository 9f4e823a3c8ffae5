import t from 'tap';
import { ignoredVariables } from './ignored.js';

void t.test('a variable that asks for something is not ignored in silence', (t) => {
  const url = 'http://server.example.org:8000/x@v1';
  const proxy = { HTTP_PROXY: 'http://p', all_proxy: 'http://q', ALL_PROXY: '' };
  t.same(ignoredVariables(url, proxy), ['HTTP_PROXY', 'all_proxy']);
  t.same(ignoredVariables('https://a/x', proxy), ['all_proxy']);
  t.same(ignoredVariables(url, { ...proxy, http_proxy: 'http://p' }), [], 'it is heeded');
  t.same(ignoredVariables('https://a/x', { ...proxy, HTTPS_PROXY: 'http://p' }), []);
  t.same(ignoredVariables('/srv/x', proxy), [], 'a directory needs no proxy');
  for (const no_proxy of ['example.org', '.example.org', 'x, server.example.org', '*']) {
    t.same(ignoredVariables(url, { ...proxy, no_proxy }), [], no_proxy);
  }
  t.same(ignoredVariables(url, { all_proxy: 'q', NO_PROXY: 'ample.org' }), ['all_proxy']);
  const pins = { CVMFS_REPOSITORY_TAG: 'v1', CVMFS_ROOT_HASH: 'a', CVMFS_SITE: 'here' };
  t.same(ignoredVariables('/srv/x', pins), ['CVMFS_REPOSITORY_TAG', 'CVMFS_ROOT_HASH']);
  t.same(ignoredVariables(url, {}), []);
  t.end();
});

import t from 'tap';
import { environmentHops } from './environment.js';
import { hopLabel } from './proxies.js';

const server = new URL('http://server.example.org:8000/x');

function through(url: URL, variables: Record<string, string>): string | undefined {
  const { groups, variable } = environmentHops(url, variables);
  const hop = groups[0]?.[0];
  if (variable === undefined || hop === undefined) return undefined;
  return `${variable}: ${hopLabel(hop)}`;
}

void t.test('http_proxy and https_proxy, each for its kind', (t) => {
  const variables = { http_proxy: 'http://p:3128', HTTPS_PROXY: 'q:1' };
  t.equal(through(server, variables), 'http_proxy: http://p:3128');
  t.equal(through(new URL('https://a/x'), variables), 'HTTPS_PROXY: http://q:1');
  t.equal(through(server, { HTTP_PROXY: 'http://p:3128', all_proxy: 'x' }), undefined);
  t.equal(through(server, { http_proxy: '' }), undefined);
  t.throws(() => environmentHops(server, { http_proxy: 'socks5://p' }), {
    code: 'PROXY_MALFORMED',
  });
  t.end();
});

void t.test('no_proxy excepts a host, what is below a domain, a network, a port, or all', (t) => {
  const ask = (no_proxy: string, url = server): boolean =>
    through(url, { http_proxy: 'p:1', no_proxy }) === undefined;
  for (const list of ['example.org', '.example.org', '*.example.org', 'x, server.example.org', '*'])
    t.ok(ask(list), list);
  t.ok(ask('server.example.org:8000'));
  for (const list of ['ample.org', 'server.example.org:80', 'server', '', ','])
    t.notOk(ask(list), list);
  const address = new URL('http://192.0.2.77/x');
  for (const list of ['192.0.2.77', '192.0.2.0/24', '0.0.0.0/0', '192.0.2.77:80'])
    t.ok(ask(list, address), list);
  for (const list of ['192.0.2.0/26', '192.0.3.0/24', '2.77', '192.0.2.0/x', '256.0.0.0/1'])
    t.notOk(ask(list, address), list);
  t.ok(ask('::1', new URL('http://[::1]:80/x')));
  t.end();
});

import { readFileSync } from 'node:fs';
import t from 'tap';
import { genuine, needsGenuine } from '../../testing/genuine.js';
import { hopLabel, parseProxies, parseProxy, proxyWords } from './proxies.js';

interface Case {
  readonly string: string;
  readonly groups: readonly (readonly string[])[];
}

const labels = (list: string, options = {}): string[][] =>
  parseProxies(list, options).map((group) => group.map(hopLabel));

void t.test('the lists of real sites', needsGenuine, (t) => {
  const path = genuine('production', 'configs', 'proxy-strings.json');
  const cases = JSON.parse(readFileSync(path, 'utf8')) as readonly Case[];
  t.equal(cases.length, 13);
  for (const { string, groups } of cases) {
    t.same(proxyWords(string), groups, string);
    const used = groups.filter(([first]) => first !== 'auto');
    t.same(labels(string), used, `${string}, as it is used`);
  }
  t.end();
});

void t.test('groups, members, DIRECT, and what stands between', (t) => {
  t.same(labels('a:3128|b;c.example.org:80;DIRECT'), [
    ['http://a:3128', 'http://b:1080'],
    ['http://c.example.org'],
    ['DIRECT'],
  ]);
  for (const empty of ['', ';', '|', ' ; | ']) t.same(labels(empty), [['DIRECT']], empty);
  t.same(labels(';a:1||a:1; ;DIRECT'), [['http://a:1'], ['DIRECT']], 'empty ones and twins');
  t.same(labels('https://p.example.org'), [['https://p.example.org']]);
  t.same(labels('[2001:db8::1]:3128'), [['http://[2001:db8::1]:3128']]);
  t.end();
});

void t.test('with fallback proxies nothing is asked directly', (t) => {
  t.same(labels('a:1;DIRECT', { fallback: 'b:1|DIRECT;c:1' }), [
    ['http://a:1'],
    ['http://b:1'],
    ['http://c:1'],
  ]);
  t.same(labels('DIRECT', { fallback: 'b:1' }), [['http://b:1']]);
  t.same(labels('', { fallback: 'b:1' }), [['http://b:1']]);
  t.same(labels('DIRECT', { fallback: ';' }), [['DIRECT']], 'there is none');
  t.end();
});

void t.test('auto is what http_proxy says, or there has to be another', (t) => {
  t.same(labels('auto;DIRECT', { auto: 'http://p:3128/' }), [['http://p:3128'], ['DIRECT']]);
  t.same(labels('auto;DIRECT'), [['DIRECT']]);
  t.throws(() => parseProxies('auto'), { code: 'PROXY_MALFORMED', message: /auto/ });
  t.end();
});

void t.test('credentials go to the proxy and to nobody else', (t) => {
  const hop = parseProxy('http://me:s%20cret@p:3128');
  t.match(hop, { authorization: `Basic ${Buffer.from('me:s cret').toString('base64')}` });
  t.equal(hopLabel(hop), 'http://p:3128');
  t.throws(() => parseProxies('me:secret@p:x'), {
    code: 'PROXY_MALFORMED',
    message: /^(?!.*secret)/,
  });
  t.end();
});

void t.test('what is no list is refused by name', (t) => {
  const wrong = [
    'http://a b:1',
    'socks5://a:1',
    'http://a:99999',
    'http://a/path',
    'http://a?q',
    'http://',
    Array.from({ length: 300 }, (_, i) => `p${i}:1`).join('|'),
  ];
  for (const list of wrong) {
    t.throws(() => parseProxies(list), { code: 'PROXY_MALFORMED', exit: 2 }, list.slice(0, 40));
  }
  t.end();
});

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { genuine, needsGenuine } from '../testing/genuine.js';
import { PinfsError } from './errors.js';
import {
  fingerprintText,
  isExpired,
  parseFingerprint,
  parseWhitelist,
  type Whitelist,
} from './whitelist.js';

const colons = '93:AB:A3:C4:89:BE:F9:B7:3E:90:8F:42:C1:8A:EF:12:BB:05:C4:15';
const plain = '93aba3c489bef9b73e908f42c18aef12bb05c415';
const head = ['20151021115513', 'E20151120115513', 'Nrepo.example.org'];

function file(...lines: string[]): Buffer {
  return Buffer.from([...lines, '--', 'a'.repeat(40), 'signature'].join('\n'), 'latin1');
}

function parsed(...lines: string[]): Whitelist {
  const whitelist = parseWhitelist(file(...lines));
  if (whitelist instanceof PinfsError) throw whitelist;
  return whitelist;
}

function refusal(...lines: string[]): PinfsError {
  const whitelist = parseWhitelist(file(...lines));
  if (whitelist instanceof PinfsError) return whitelist;
  throw new Error('was not refused');
}

void t.test('a whitelist is read', (t) => {
  t.match(parsed(...head, colons), {
    created: '2015-10-21T11:55:13Z',
    expires: '2015-11-20T11:00:00Z',
    name: 'repo.example.org',
    fingerprints: [{ algorithm: 'sha1', text: plain }],
  });
  t.end();
});

void t.test('several fingerprints, with comments, in any case, by any algorithm', (t) => {
  const whitelist = parsed(
    ...head,
    `# ${colons}`,
    '',
    `${colons} # somebody's certificate`,
    `${colons.toLowerCase()}\tcomment`,
    `${colons}# behind`,
    `${colons}-RMD160`,
    `${plain}-shake128`,
    'something else',
  );
  t.same(
    whitelist.fingerprints.map((hash) => hash.text),
    [plain, plain, plain, `${plain}-rmd160`, `${plain}-shake128`],
  );
  t.end();
});

void t.test('fingerprints of the length of an MD5, and other lengths, are none', (t) => {
  for (const bad of [
    colons.slice(0, 47),
    `${colons}:00`,
    `${colons}-MD5`,
    `x${colons}`,
    ` ${colons}`,
  ]) {
    t.equal(parseFingerprint(bad), undefined, bad);
  }
  t.end();
});

void t.test('a fingerprint is printed as whitelists write it', (t) => {
  for (const text of [colons, `${colons}-RMD160`, `${colons}-SHAKE128`]) {
    const hash = parseFingerprint(text);
    t.equal(hash && fingerprintText(hash), text);
  }
  t.end();
});

void t.test('it is valid strictly before the hour of its expiry', (t) => {
  const whitelist = parsed(...head);
  for (const [at, expired] of [
    ['2015-11-20T10:59:59.999Z', false],
    ['2015-11-20T11:00:00Z', true],
    ['2015-11-20T11:55:12Z', true],
    ['2016-01-01T00:00:00Z', true],
    ['1999-01-01T00:00:00Z', false],
  ] as const) {
    t.equal(isExpired(whitelist, new Date(at)), expired, at);
  }
  t.equal(isExpired(whitelist, new Date(NaN)), true, 'a broken clock');
  t.end();
});

void t.test('dates: the first line need only have the length, the second must exist', (t) => {
  t.equal(parsed('abcdefghijklmn', ...head.slice(1)).created, undefined);
  t.equal(refusal('2015102111551', ...head.slice(1)).code, 'WHITELIST_MALFORMED');
  const broken = [
    'Enever',
    'E2015112011551',
    'E201511201155130',
    '20151120115513',
    'X20151120115513',
    'E20151320115513',
    'E20150231115513',
    'E20151120245513',
    'E2015112 115513',
    'E20151120115513\r',
  ];
  for (const expiry of broken) {
    t.equal(refusal('20151021115513', expiry, 'Na').code, 'WHITELIST_MALFORMED', expiry);
  }
  t.end();
});

void t.test('without a line N there is no name', (t) => {
  t.equal(parsed(...head.slice(0, 2), colons).name, undefined);
  t.end();
});

void t.test('PKCS#7 and CA chains are refused by their names', (t) => {
  const pkcs7 = refusal(...head, 'Vpkcs7', colons);
  t.equal(pkcs7.code, 'WHITELIST_UNSUPPORTED');
  t.match(pkcs7.message, /Vpkcs7/);
  t.match(refusal(...head, 'Wcachain', colons).message, /Wcachain/);
  const both = refusal(...head, 'Vpkcs7', 'Wcachain', colons).message;
  t.match(both, /Vpkcs7.*Wcachain/);
  t.end();
});

void t.test('HTML, nothing, and half a list are refused', (t) => {
  for (const bytes of [
    '<html></html>',
    '',
    head.join('\n'),
    `${head.join('\n')}\n93:AB:A3`,
    '--\n',
  ]) {
    const whitelist = parseWhitelist(Buffer.from(bytes));
    t.equal(whitelist instanceof PinfsError && whitelist.code, 'WHITELIST_MALFORMED', bytes);
  }
  t.end();
});

void t.test('any bytes give a whitelist or one error', (t) => {
  const line = fc.oneof(
    fc.constantFrom(...head, colons, 'Vpkcs7', '--', ''),
    fc.string({ unit: 'binary', maxLength: 60 }),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
      const whitelist = parseWhitelist(Buffer.from(`${lines.join('\n')}\n--\nhash\nsig`));
      return whitelist instanceof PinfsError || !Number.isNaN(Date.parse(whitelist.expires));
    }),
  );
  t.end();
});

void t.test('the worked example of docs/format.md, 4.3', needsGenuine, (t) => {
  const whitelist = parseWhitelist(
    readFileSync(genuine('production/trees/legacy_aufs.cern.ch/.cvmfswhitelist')),
  );
  if (whitelist instanceof PinfsError) throw whitelist;
  t.equal(whitelist.envelope.hashLine, '929b0716d322e6b740352c7e67da1058454cc4d2');
  t.equal(whitelist.name, 'legacy_aufs.cern.ch');
  t.same(whitelist.fingerprints.map(fingerprintText), [colons]);
  t.end();
});

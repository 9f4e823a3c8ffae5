import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { genuine, needsGenuine } from '../testing/genuine.js';
import { PinfsError } from './errors.js';
import { parseManifest, type Manifest } from './manifest.js';

const hash = '6ed3d49a5c64f21f36936ab350d49aaf57585b9a';
const required = [`C${hash}`, 'Rd41d8cd98f00b204e9800998ecf8427e', 'D900', 'S2'];

function file(...lines: string[]): Buffer {
  return Buffer.from([...lines, '--', 'a'.repeat(40), 'signature'].join('\n'), 'latin1');
}

function parsed(...lines: string[]): Manifest {
  const manifest = parseManifest(file(...lines));
  if (manifest instanceof PinfsError) throw manifest;
  return manifest;
}

function code(...lines: string[]): string {
  const manifest = parseManifest(file(...lines));
  return manifest instanceof PinfsError ? manifest.code : 'no error';
}

void t.test('the required lines suffice, and the rest has its defaults', (t) => {
  const manifest = parsed(...required);
  t.match(manifest, { ttl: 900, revision: 2, published: 0, collectable: false, channels: '' });
  t.equal(manifest.rootHash.text, hash);
  t.equal(manifest.rootSize, undefined);
  t.equal(manifest.name, undefined);
  t.equal(manifest.certificate, undefined);
  t.end();
});

void t.test('every key is read', (t) => {
  const manifest = parsed(
    ...required,
    'B14336',
    'Gyes',
    'Ayes',
    `L${'1'.repeat(40)}`,
    'Nrepo.example.org',
    `X${'2'.repeat(40)}-rmd160`,
    `H${'3'.repeat(40)}-shake128`,
    'T1445428515',
    `M${'4'.repeat(40)}`,
    `Y${'5'.repeat(40)}`,
    'Zone',
    'Ztwo',
  );
  t.match(manifest, {
    rootSize: 14336,
    collectable: true,
    alternative: true,
    microCatalog: { text: '1'.repeat(40) },
    name: 'repo.example.org',
    certificate: { algorithm: 'rmd160', text: `${'2'.repeat(40)}-rmd160` },
    history: { algorithm: 'shake128' },
    published: 1445428515,
    metainfo: { text: '4'.repeat(40) },
    reflog: { text: '5'.repeat(40) },
    channels: 'one|two',
  });
  t.end();
});

void t.test('the later line wins, unknown keys and empty lines are passed over', (t) => {
  const manifest = parsed(
    'S1',
    ...required,
    '',
    'Qx',
    'V2.2.0',
    'cffff',
    'Na.example',
    'Nb.example',
  );
  t.equal(manifest.revision, 2);
  t.equal(manifest.name, 'b.example');
  t.equal(manifest.rootHash.text, hash);
  t.end();
});

void t.test('yes is yes and nothing else', (t) => {
  t.equal(parsed(...required, 'Gyes ').collectable, false);
  t.equal(parsed(...required, 'AYes').alternative, false);
  t.end();
});

void t.test('empty and zero hashes are none; as root catalog they are refused', (t) => {
  t.equal(parsed(...required, 'H').history, undefined);
  t.equal(parsed(...required, `X${'0'.repeat(40)}`).certificate, undefined);
  t.equal(parsed(...required, `H${'0'.repeat(40)}-rmd160`).history, undefined);
  t.equal(code(...required, `C${'0'.repeat(40)}`), 'MANIFEST_MALFORMED');
  t.equal(code(...required, 'C'), 'MANIFEST_MALFORMED');
  t.end();
});

void t.test('each missing required line makes it incomplete', (t) => {
  for (const key of ['C', 'R', 'D', 'S']) {
    t.equal(code(...required.filter((line) => !line.startsWith(key))), 'MANIFEST_INCOMPLETE', key);
  }
  t.end();
});

void t.test('broken values are refused', (t) => {
  const broken = [
    `C${'z'.repeat(40)}`,
    `C${hash}\r`,
    `C${hash.toUpperCase()}`,
    `C${hash}-rmd161`,
    'Rd41d8cd98f00b204e9800998ecf8427',
    'S-1',
    'S1.5',
    'S 2',
    'S',
    'S9007199254740993',
    'S0x10',
    `S${'9'.repeat(400)}`,
    'D4294967296',
    'T253402300800',
    'B-5',
    `H${'z'.repeat(40)}`,
  ];
  for (const line of broken) t.equal(code(...required, line), 'MANIFEST_MALFORMED', line);
  t.end();
});

void t.test('the largest numbers are taken', (t) => {
  const manifest = parsed(...required, 'S9007199254740991', 'T253402300799', 'D4294967295');
  t.match(manifest, { revision: Number.MAX_SAFE_INTEGER, ttl: 0xffff_ffff });
  t.equal(new Date(manifest.published * 1000).toISOString(), '9999-12-31T23:59:59.000Z');
  t.end();
});

void t.test('an HTML page, an empty file and one that is cut off are told apart in words', (t) => {
  const message = (bytes: string): string => {
    const manifest = parseManifest(Buffer.from(bytes));
    t.type(manifest, PinfsError);
    if (!(manifest instanceof PinfsError)) return '';
    t.equal(manifest.code, 'MANIFEST_MALFORMED');
    return manifest.message;
  };
  t.match(message('<html><body>Please log in</body></html>'), /HTML/);
  t.match(message(''), /empty/);
  t.match(message(`C${hash}\nB57344\nRd41d8cd98f`), /cut off/);
  t.end();
});

void t.test('messages cannot write to a terminal', (t) => {
  const manifest = parseManifest(file(...required, 'H\x1b[31m\u009b'));
  t.type(manifest, PinfsError);
  t.notMatch(manifest instanceof PinfsError ? manifest.message : '', /[\x00-\x1f\x7f-\x9f]/);
  t.end();
});

void t.test('lines behind "--" are not read', (t) => {
  const bytes = file(...required);
  t.equal(
    parseManifest(Buffer.concat([bytes, Buffer.from('\nS99\n--\nS98\n')])) instanceof PinfsError,
    false,
  );
  t.equal(parsed(...required).revision, 2);
  t.end();
});

void t.test('any bytes give a manifest or one error', (t) => {
  const line = fc.tuple(
    fc.constantFrom(...Buffer.from('CBRDSGALNXHTMYZQ-\n')),
    fc.string({ unit: 'binary', maxLength: 60 }),
  );
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 20 }),
      fc.uint8Array({ maxLength: 40 }),
      (lines, rest) => {
        const text = lines.map(([key, value]) => `${String.fromCharCode(key)}${value}\n`).join('');
        const manifest = parseManifest(Buffer.concat([Buffer.from(`${text}--\n`), rest]));
        return manifest instanceof PinfsError || Number.isSafeInteger(manifest.revision);
      },
    ),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      return parseManifest(Buffer.from(bytes)) instanceof PinfsError;
    }),
  );
  t.end();
});

void t.test('the worked example of docs/format.md, 3.3', needsGenuine, (t) => {
  const manifest = parseManifest(
    readFileSync(genuine('legacy/aufs-2.1/legacy_aufs.cern.ch/.cvmfspublished')),
  );
  if (manifest instanceof PinfsError) throw manifest;
  t.match(manifest, {
    rootHash: { text: hash },
    rootSize: 14336,
    ttl: 900,
    revision: 2,
    collectable: false,
    name: 'legacy_aufs.cern.ch',
    certificate: { text: '65133968f581abad1e75489c92a634e44929cbd7' },
    history: { text: '365d5083b27d67e2caeff6d66e5fe3f2d104a6bd' },
    published: 1445428515,
  });
  t.equal(manifest.envelope.hashLine, 'a7c0345bd49103a80f2341c0319e020d1acf454b');
  t.equal(manifest.envelope.signature.length, 256);
  t.equal(manifest.envelope.signature.subarray(0, 6).toString('hex'), '252b8d17c9d5');
  t.end();
});

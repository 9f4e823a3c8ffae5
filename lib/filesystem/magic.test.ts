import { errno } from '../format/errno.js';
import t from 'tap';
import type { Outcome } from '../store/want.js';
import { makeFakeTree } from '../testing/fakes/fake-tree.js';
import type { Filesystem } from './filesystem.js';
import { quietFacts, type LiveFacts } from './live-facts.js';
import { isKeptFrom, splitPages } from './magic.js';
import { openFilesystem } from './open-filesystem.js';
import type { Identity } from './snapshot-descriptor.js';

const identity: Identity = {
  fqrn: 'test.example.org',
  tag: undefined,
  revision: 7,
  rootHash: '0123456789012345678901234567890123456789-rmd160',
  pinned: false,
  sourceLabel: 'http://127.0.0.1/test.example.org',
  trust: '{"status":"verified"}',
};

const bytes = Buffer.alloc(100, 'a');
const manyChunks = Buffer.alloc(1500);
manyChunks.forEach((_, index) => manyChunks.writeUInt8((index * 7 + (index >> 8)) & 255, index));

function make(facts: Partial<LiveFacts> = {}, changed: Partial<Identity> = {}): Filesystem {
  const { tree, shelf } = makeFakeTree({
    xattrs: new Map([['user.own', Buffer.from('root')]]),
    children: {
      file: {
        bytes,
        xattrs: new Map([
          ['user.own', Buffer.from([0, 255, 1])],
          ['user.fqrn', Buffer.from('stored')],
          ['security.capability', Buffer.from('cap')],
        ]),
      },
      chunked: { bytes, chunkSize: 40 },
      many: { bytes: manyChunks, chunkSize: 1 },
      link: { target: 'file', rawTarget: '$(HOME)' },
      directory: { children: {} },
    },
  });
  const live = () => quietFacts({ uid: 0, pid: 42, version: '1.2.3', ...facts });
  return openFilesystem(tree, shelf, { ...identity, ...changed }, live);
}

function get(filesystem: Filesystem, path: string, name: string): Outcome<Buffer> {
  const found = filesystem.resolve(path);
  return found.kind === 'done' ? filesystem.getxattr(found.value.node, name) : found;
}

function text(outcome: Outcome<Buffer>): string | number {
  if (outcome.kind === 'done') return outcome.value.toString();
  return outcome.kind === 'failure' ? outcome.errno : 'miss';
}

void t.test('facts of the mount stand on every path', (t) => {
  const facts = {
    uptime: 190,
    ttlLeft: 250,
    opens: 3,
    directoryOpens: 4,
    downloads: 5,
    errors: 6,
    lastError: 1700000000,
    hits: 2,
    misses: 1,
    received: 4096,
    receivingTime: 500,
    publicKeys: 'PEM',
    log: '[2020-01-01T00:00:00.000Z] mounted\n',
    filesMax: 1024,
    filesOpen: 30,
    connectTimeout: 5,
  };
  const expected = {
    fqrn: 'test.example.org',
    revision: '7',
    root_hash: identity.rootHash,
    tag: '',
    host: identity.sourceLabel,
    host_list: identity.sourceLabel,
    'pinfs.trust': identity.trust,
    expires: '4',
    version: '1.2.3',
    pid: '42',
    uptime: '3',
    nclg: '1',
    nopen: '3',
    ndiropen: '4',
    ndownload: '5',
    nioerr: '6',
    timestamp_last_ioerr: '1700000000',
    hitrate: '66.667',
    rx: '4',
    speed: '8',
    pubkeys: 'PEM',
    logbuffer: facts.log,
    proxy: 'DIRECT',
    proxy_list: 'DIRECT',
    proxy_list_external: 'DIRECT',
    timeout: '5',
    timeout_direct: '5',
    external_timeout: '5',
    revision_timestamp: '1000000000',
    maxfd: '1024',
    usedfd: '30',
    useddirp: '0',
    ncleanup24: '-1',
    inode_max: '9223372036854775807',
  };
  const filesystem = make(facts);
  for (const path of ['/', '/file', '/link', '/directory']) {
    for (const [name, value] of Object.entries(expected)) {
      t.equal(text(get(filesystem, path, `user.${name}`)), value, `${path} ${name}`);
    }
  }
  t.end();
});

void t.test('what is not known yet has its word', (t) => {
  const filesystem = make({}, { pinned: true, tag: 'v1' });
  t.equal(text(get(filesystem, '/', 'user.expires')), 'never (fixed root catalog)');
  t.equal(text(get(filesystem, '/', 'user.hitrate')), 'n/a');
  t.equal(text(get(filesystem, '/', 'user.speed')), 'n/a');
  t.equal(text(get(filesystem, '/', 'user.tag')), 'v1');
  t.end();
});

void t.test('counters are lines of name,value, of the repository and of one catalog', (t) => {
  const filesystem = make();
  const lines = text(get(filesystem, '/', 'user.repo_counters')).toString();
  t.equal(
    lines,
    'chunked,0\nchunked_size,0\nchunks,0\ndir,7\nexternal,0\nexternal_file_size,0\nfile_size,0\n' +
      'nested,0\nregular,43\nspecial,0\nsymlink,1\nxattr,0\n',
  );
  const catalog = text(get(filesystem, '/file', 'user.catalog_counters')).toString();
  t.match(catalog, /^catalog_hash: [0-9a-f]{40}\ncatalog_mountpoint: \nchunked,0\n/);
  t.ok(catalog.endsWith(lines));
  t.end();
});

void t.test('facts of a file stand on files only', (t) => {
  const filesystem = make();
  const hash = text(get(filesystem, '/file', 'user.hash'));
  t.match(hash, /^[0-9a-f]{40}$/);
  t.equal(text(get(filesystem, '/chunked', 'user.hash')), errno.ENODATA);
  t.equal(text(get(filesystem, '/file', 'user.chunks')), '1');
  t.equal(text(get(filesystem, '/chunked', 'user.chunks')), '3');
  t.equal(text(get(filesystem, '/file', 'user.chunk_list')), `hash,offset,size\n${hash},0,100\n`);
  t.match(
    text(get(filesystem, '/chunked', 'user.chunk_list')),
    /^hash,offset,size\n([0-9a-f]{40}),0,40\n\1,40,40\n[0-9a-f]{40},80,20\n$/,
  );
  t.equal(text(get(filesystem, '/file', 'user.compression')), 'none');
  t.equal(text(get(filesystem, '/file', 'user.external_file')), '0');
  t.equal(text(get(filesystem, '/file', 'user.direct_io')), '0');
  for (const name of [
    'hash',
    'chunks',
    'chunk_list',
    'compression',
    'external_file',
    'direct_io',
  ]) {
    t.equal(text(get(filesystem, '/directory', `user.${name}`)), errno.ENODATA, name);
    t.equal(text(get(filesystem, '/link', `user.${name}`)), errno.ENODATA, name);
  }
  t.end();
});

void t.test('a link shows its target as stored, under both names', (t) => {
  const filesystem = make();
  t.equal(text(get(filesystem, '/link', 'user.rawlink')), '$(HOME)');
  t.equal(text(get(filesystem, '/link', 'xfsroot.rawlink')), '$(HOME)');
  t.equal(text(get(filesystem, '/file', 'user.rawlink')), errno.ENODATA);
  t.end();
});

void t.test('stored attributes are given as they are; a magic name hides one', (t) => {
  const filesystem = make();
  const own = get(filesystem, '/file', 'user.own');
  t.same(own.kind === 'done' && own.value, Buffer.from([0, 255, 1]));
  t.equal(text(get(filesystem, '/file', 'security.capability')), 'cap');
  t.equal(text(get(filesystem, '/file', 'user.fqrn')), 'test.example.org');
  for (const name of ['system.posix_acl_access', 'security.ima', 'user.', 'user.absent', '']) {
    t.equal(text(get(filesystem, '/file', name)), errno.ENODATA, name);
  }
  t.equal(
    text(get(filesystem, '/file', 'security.selinux')),
    errno.EOPNOTSUPP,
    'there are no labels',
  );
  t.equal(text(get(filesystem, '/file', 'user.authz')), errno.ENODATA, 'no membership asked for');
  t.end();
});

void t.test('magic names are listed on the root only', (t) => {
  const filesystem = make();
  const list = (path: string) => {
    const found = filesystem.resolve(path);
    const names = found.kind === 'done' ? filesystem.listxattr(found.value.node) : found;
    return names.kind === 'done' ? names.value : [];
  };
  t.same(list('/file'), ['user.own', 'user.fqrn', 'security.capability']);
  t.same(list('/link'), []);
  const root = list('/');
  t.equal(new Set(root).size, root.length, 'each once');
  t.ok(root.includes('user.own') && root.includes('user.pubkeys'));
  t.notOk(root.includes('user.pinfs.trust'), 'asked for by its name alone');
  t.notOk(root.includes('user.authz'));
  for (const name of root) t.type(text(get(filesystem, '/', name)), 'string', name);
  t.end();
});

void t.test('long values come in pages', (t) => {
  const filesystem = make();
  const page = (suffix: string) => text(get(filesystem, '/many', `user.chunk_list${suffix}`));
  t.equal(page('~?'), 'num_pages, 2');
  t.equal(page(''), page('~0'));
  const whole = `${page('~0')}${page('~1')}`;
  t.equal(whole.split('\n').length, 1502, 'a header, 1500 lines, and nothing cut');
  t.ok(String(page('~0')).endsWith('\n'));
  t.ok(String(page('~0')).length < 65536);
  t.equal(page('~2'), errno.ENODATA);
  const [head, ...rest] = String(page('@0')).split('\n');
  t.match(head, /^# Access page at idx: 0\. Total num pages: 2 \(.*~N.*@N.*\)$/);
  t.equal(rest.join('\n'), page('~0'));
  t.match(page('@2'), /no page 2.*\nPages available: 2\n$/);
  t.match(page('@?'), /~N.*@N.*\nPages available: 2\n$/);
  for (const wrong of ['@-2', '@', '~', '~-1', '@x', '@0x', '~1~1'])
    t.equal(page(wrong), errno.ENODATA, wrong);
  t.equal(page('~x'), errno.ENODATA);
  t.equal(text(get(filesystem, '/', 'user.tag~0')), '', 'an empty value has one page');
  t.end();
});

void t.test('a line without end is cut', (t) => {
  const pages = splitPages('x'.repeat(100_000));
  t.ok(pages.every((it) => it.length <= 45_000));
  t.equal(pages.join('').length, 100_000);
  t.end();
});

void t.test('a protected attribute is there for its groups only, on whatever page', (t) => {
  const kept = { names: ['user.fqrn', 'xfsroot.rawlink'], gids: [100] };
  for (const name of ['user.fqrn', 'user.fqrn~0', 'user.fqrn@?', 'xfsroot.rawlink']) {
    t.ok(isKeptFrom(kept, 101, name), name);
    t.ok(isKeptFrom(kept, undefined, name), name);
    t.notOk(isKeptFrom(kept, 100, name), name);
    t.notOk(isKeptFrom(kept, 0, name), name);
  }
  for (const name of ['user.fqr', 'user.fqrn2', 'fqrn', 'user.tag'])
    t.notOk(isKeptFrom(kept, 101, name), name);
  t.end();
});

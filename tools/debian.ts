/**
 * `npm run package` makes dist/pinfs_VERSION_ARCH.deb from what was built: the program, the packages that it loads, and
 * the Node that runs here, below /usr/lib/pinfs; what shells, mount(8), systemd and autofs look for, in its place.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, extname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { packagesOf } from './installed-packages.js';

const checkout = fileURLToPath(new URL('../..', import.meta.url));
const home = 'usr/lib/pinfs';

/** Where files of `share` go, from the root of the system; beside them they lie in /usr/lib/pinfs/share. */
const places: readonly (readonly [from: string, to: string, mode: number])[] = [
  ['completions/pinfs.bash', 'usr/share/bash-completion/completions/pinfs', 0o644],
  ['completions/_pinfs', 'usr/share/zsh/vendor-completions/_pinfs', 0o644],
  ['completions/pinfs.fish', 'usr/share/fish/vendor_completions.d/pinfs.fish', 0o644],
  ['sbin/mount.pinfs', 'sbin/mount.pinfs', 0o755],
  ['systemd/pinfs@.service', 'lib/systemd/system/pinfs@.service', 0o644],
  // The map alone does nothing: `pinfs setup` tells autofs of it, where no other has /cvmfs.
  ['autofs/auto.pinfs', 'etc/auto.pinfs', 0o755],
  ['debian/lintian-overrides', 'usr/share/lintian/overrides/pinfs', 0o644],
];

/** What Node loads; sources, types, maps and documents are left out. */
const loaded = new Set(['.js', '.cjs', '.mjs', '.json', '.node', '.code']);
/** Of these packages nothing but these files is loaded. */
const only: Readonly<Record<string, readonly string[]>> = {
  d3: ['package.json', 'LICENSE', 'dist/d3.min.js'],
  '@observablehq/plot': ['package.json', 'LICENSE', 'dist/plot.umd.min.js'],
  'better-sqlite3': ['package.json', 'LICENSE', 'lib', 'build/Release/better_sqlite3.node'],
};

/** The driver over libfuse needs that library; the other is for building. */
const unused: ReadonlySet<string> = new Set(['fuse-native', 'prebuild-install']);
/** Read as one file, for pages. */
const asOneFile: ReadonlySet<string> = new Set(['d3', '@observablehq/plot']);

/** @param version of the package, where that is not the program's (for tests of an update). @returns its file. */
function makeDebian(into: string, version = readVersion()): string {
  const stage = mkdtempSync(join(tmpdir(), 'pinfs-deb-'));
  try {
    chmodSync(stage, 0o755);
    stageProgram(stage);
    stagePackages(stage);
    stageShared(stage);
    stageDocuments(stage, version);
    setModes(stage);
    stageControl(stage, version);
    const file = join(into, `pinfs_${version}_${architecture()}.deb`);
    const options = ['--root-owner-group', '-Zxz', '-z1', '--build', stage, file];
    execFileSync('dpkg-deb', options, { stdio: ['ignore', 'ignore', 'inherit'] });
    return file;
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

function readVersion(): string {
  const text = readFileSync(join(checkout, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function architecture(): string {
  return execFileSync('dpkg', ['--print-architecture'], { encoding: 'utf8' }).trim();
}

function stageProgram(stage: string): void {
  const to = join(stage, home);
  const dist = join(checkout, 'dist');
  if (!existsSync(join(dist, 'bundle', 'pinfs.js'))) throw new Error('npm run build comes first');
  for (const folder of ['bundle', 'lib']) {
    cpSync(join(dist, folder), join(to, 'dist', folder), {
      recursive: true,
      filter: (path) =>
        isLoaded(path) && !/\.test\./.test(path) && path !== join(dist, 'lib', 'testing'),
    });
  }
  cpSync(join(checkout, 'package.json'), join(to, 'package.json'));
  const node = join(to, 'node');
  cpSync(process.execPath, node, { dereference: true });
  execFileSync('strip', ['--strip-unneeded', node]);
  cpSync(nodeLicence(), join(to, 'LICENSE.node'));
  // Each process that it starts is run by the same Node.
  const entry = join(to, 'dist', 'bundle', 'pinfs.js');
  const text = readFileSync(entry, 'utf8').replace(/^#!.*/, `#!/${home}/node`);
  writeFileSync(entry, text);
  mkdirSync(join(stage, 'usr/bin'), { recursive: true });
  symlinkSync(`../lib/pinfs/dist/bundle/pinfs.js`, join(stage, 'usr/bin/pinfs'));
}

/** Where packages and archives of Node have it. */
function nodeLicence(): string {
  const prefix = dirname(dirname(process.execPath));
  const found = ['LICENSE', 'share/doc/nodejs/LICENSE', 'share/doc/node/LICENSE']
    .map((path) => join(prefix, path))
    .find((path) => existsSync(path));
  if (found === undefined) throw new Error(`${process.execPath} has no LICENSE beside it`);
  return found;
}

function stagePackages(stage: string): void {
  const compiled: string[] = [];
  for (const { name, path } of packagesOf(checkout, unused, asOneFile)) {
    const to = join(stage, home, path);
    const from = join(checkout, path);
    for (const part of only[name] ?? ['.']) {
      cpSync(join(from, part), join(to, part), {
        recursive: true,
        filter: (file) => {
          const isWanted = isLoaded(file) && !isOther(file) && !isNested(from, file);
          if (isWanted && file.endsWith('.node')) compiled.push(join(to, relative(from, file)));
          return isWanted;
        },
      });
    }
  }
  execFileSync('strip', ['--strip-unneeded', ...compiled]);
}

function isLoaded(path: string): boolean {
  if (lstatSync(path).isDirectory()) return true;
  return loaded.has(extname(path)) || /^(LICEN[CS]E|NOTICE|made)/i.test(basename(path));
}

/** For a C library that this package doesn't run on; tests; sources beside what is compiled from them. */
function isOther(path: string): boolean {
  return /\/(musl_[^/]*|test|tests|example|examples|benchmark|benchmarks|docs?|vendor)$/.test(path);
}

/** Packages inside of a package have their own turn. */
function isNested(from: string, path: string): boolean {
  return path !== from && path.slice(from.length).includes('/node_modules');
}

function stageShared(stage: string): void {
  const share = join(checkout, 'share');
  cpSync(share, join(stage, home, 'share'), {
    recursive: true,
    filter: (path) => !/\/(debian|man|completions)$/.test(path),
  });
  for (const [from, to, mode] of places) {
    const target = join(stage, to);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(join(share, from), target);
    chmodSync(target, mode);
  }
  for (const page of readdirSync(join(share, 'man'))) {
    const folder = join(stage, `usr/share/man/man${page.slice(-1)}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, `${page}.gz`),
      gzipSync(readFileSync(join(share, 'man', page)), { level: 9 }),
    );
  }
}

function stageDocuments(stage: string, version: string): void {
  const folder = join(stage, 'usr/share/doc/pinfs');
  mkdirSync(folder, { recursive: true });
  const packed = (text: string | Buffer): Buffer => gzipSync(text, { level: 9 });
  const date = new Date().toUTCString().replace('GMT', '+0000');
  const entry = [
    `pinfs (${version}) stable; urgency=medium`,
    '',
    '  * /usr/share/doc/pinfs/CHANGELOG.md.gz says what changed.',
    '',
    ` -- ${maintainer}  ${date}`,
    '',
  ];
  writeFileSync(join(folder, 'changelog.gz'), packed(entry.join('\n')));
  writeFileSync(
    join(folder, 'CHANGELOG.md.gz'),
    packed(readFileSync(join(checkout, 'CHANGELOG.md'))),
  );
  cpSync(join(checkout, 'README.md'), join(folder, 'README.md'));
  const copyright = [
    'pinfs',
    '',
    readFileSync(join(checkout, 'LICENSE'), 'utf8'),
    `Node.js, in /${home}/node, has its licence in /${home}/LICENSE.node.`,
    `The packages below /${home}/node_modules have theirs beside them; of those that are also in`,
    `/${home}/dist/bundle they are the same.`,
    '',
  ];
  writeFileSync(join(folder, 'copyright'), copyright.join('\n'));
}

/** As packages have them, whatever the umask was when this was checked out. */
function setModes(stage: string): void {
  for (const entry of readdirSync(stage, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) chmodSync(path, 0o755);
    if (!entry.isFile()) continue;
    const isProgram =
      path === join(stage, home, 'node') ||
      path === join(stage, home, 'dist/bundle/pinfs.js') ||
      /\/(mount\.pinfs|auto\.pinfs)$/.test(path);
    chmodSync(path, isProgram ? 0o755 : 0o644);
  }
}

const maintainer = 'The authors of pinfs <pinfs@example.org>';

function stageControl(stage: string, version: string): void {
  const size = execFileSync('du', ['-sk', '--apparent-size', stage], { encoding: 'utf8' });
  const folder = join(stage, 'DEBIAN');
  mkdirSync(folder);
  const control = [
    'Package: pinfs',
    `Version: ${version}`,
    `Architecture: ${architecture()}`,
    `Maintainer: ${maintainer}`,
    `Installed-Size: ${Number.parseInt(size, 10)}`,
    'Depends: libc6 (>= 2.28), libstdc++6, fuse3',
    'Suggests: autofs',
    'Section: net',
    'Priority: optional',
    'Description: verified, pinned, read-only snapshots of CernVM-FS repositories',
    ' pinfs mounts a CernVM-FS repository as it was at any moment of its history:',
    ' verified, pinned to one root hash, read-only, with no privileged daemon.',
    ' The package carries the Node.js that runs it.',
    '',
  ];
  writeFileSync(join(folder, 'control'), control.join('\n'));
  writeFileSync(join(folder, 'conffiles'), '/etc/auto.pinfs\n');
  for (const script of ['postinst', 'prerm', 'postrm']) {
    cpSync(join(checkout, 'share', 'debian', script), join(folder, script));
    chmodSync(join(folder, script), 0o755);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const file = makeDebian(process.argv[2] ?? join(checkout, 'dist'), process.argv[3]);
  const kib = execFileSync('dpkg-deb', ['-f', file, 'Installed-Size'], { encoding: 'utf8' });
  console.log(`${file}: ${Math.round(Number(kib) / 1024)} MiB installed`);
}

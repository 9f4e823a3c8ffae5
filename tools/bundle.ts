/**
 * Makes dist/bundle from what was compiled: one script for each entry of the program, and beside it the code that
 * V8 compiles for it, which a start then neither reads from hundreds of files nor compiles again.
 */
import { build as bundleBy, type Plugin } from 'esbuild';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serve } from '../lib/source/serve.js';

const dist = fileURLToPath(new URL('..', import.meta.url));
const bundles = join(dist, 'bundle');
const fixtures = join(dist, '..', 'native-test', 'fixtures');

/** The program, and each file that it starts as a process or as a thread; others stay what they are. */
const entries: readonly string[] = [
  'bin/pinfs.js',
  'lib/mount/process/child.js',
  'lib/drivers/kernel/worker/worker.js',
  'lib/drivers/kernel/main/notifier.js',
  'lib/store/cache/unpack-worker.js',
  'lib/store/lower/copy-worker.js',
  'lib/publish/objects/object-worker.js',
].map((path) => join(dist, path));

/** Compiled packages; undici's parts and schemas are taken from their packages when they are needed, too. */
const external = ['better-sqlite3', 'fuse-native', 'koffi', 'zlib-sync'];

/** A module's place stays what it was, but for the URLs of entries, which are bundles now. */
const places: Plugin = {
  name: 'places',
  setup(build) {
    build.onLoad({ filter: /\.js$/ }, ({ path }) => {
      if (!path.startsWith(dist)) return undefined;
      const place = `new URL(${JSON.stringify(relative(bundles, path))}, moduleUrl)`;
      const contents = readFileSync(path, 'utf8')
        .replace(/new URL\('([^']+)', import\.meta\.url\)/g, (all, target: string) => {
          const isEntry = entries.includes(resolve(dirname(path), target));
          return isEntry ? `new URL('./${basename(target)}', moduleUrl)` : all;
        })
        .replaceAll('import.meta.url', `${place}.href`)
        .replaceAll('import.meta.filename', `${place}.pathname`)
        .replaceAll('import.meta.dirname', `new URL('.', ${place}).pathname.slice(0, -1)`);
      return { contents, loader: 'js' };
    });
  },
};

async function bundle(entry: string): Promise<void> {
  const outfile = join(bundles, `${basename(entry, '.js')}.cjs`);
  await bundleBy({
    entryPoints: [entry],
    outfile,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    // Scripts that V8 takes from kept code have no import().
    supported: { 'dynamic-import': false },
    external,
    plugins: [places],
    banner: { js: '(function (require, moduleUrl) {' },
    footer: { js: '})' },
    logLevel: 'warning',
  });
  // Read as latin1 (bundle-entry.ts), and half as large in memory as with one letter of another kind.
  if (/[^\0-\x7f]/.test(readFileSync(outfile, 'utf8'))) throw new Error(`${outfile} is not ASCII`);
  const starter = join(bundles, basename(entry));
  // Without the name of its map, which is not beside it.
  const text = readFileSync(join(dist, 'tools', 'bundle-entry.js'), 'utf8');
  writeFileSync(starter, text.replace(/\/\/# sourceMappingURL=.*/, ''));
  chmodSync(starter, 0o755);
}

/**
 * Lets a mount be made and used once, by which V8 knows what a start needs. Where nothing can be mounted, what every
 * command needs is kept.
 */
async function keepCode(): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-bundle-'));
  const mountpoint = join(work, 'mnt');
  mkdirSync(mountpoint);
  const server = await serve(fixtures);
  const source = `${server.url}/analysis.example.org@2015-legacy`;
  const opening = [
    '--key',
    `${join(fixtures, 'analysis.example.org')}.pub`,
    '--cache',
    join(work, 'cache'),
  ];
  try {
    await run(['--help']);
    await run(['ls', ...opening, source, '/']);
    if (await run(['mount', ...opening, source, mountpoint])) {
      await readdir(mountpoint, { recursive: true });
      await run(['status', mountpoint]);
      await run(['umount', mountpoint]);
      return;
    }
    console.warn('dist/bundle: nothing can be mounted here, so a mount will start a little slower');
  } finally {
    await server.close();
    rmSync(work, { recursive: true, force: true });
  }
}

/** Runs the bundled program, which keeps its code as it ends. @returns whether it did what it was asked for. */
async function run(args: readonly string[]): Promise<boolean> {
  const hook = new URL('./bundle-code.js', import.meta.url).href;
  const env = { ...process.env, NODE_OPTIONS: `--import ${hook}` };
  const child = spawn(process.execPath, [join(bundles, 'pinfs.js'), ...args], {
    env,
    stdio: 'ignore',
    timeout: 20_000,
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code === 0;
}

rmSync(bundles, { recursive: true, force: true });
mkdirSync(bundles);
await Promise.all(entries.map(bundle));
await keepCode();
// When it was made: what was compiled later is newer (lib/testing/program.ts).
writeFileSync(join(bundles, 'made'), '');

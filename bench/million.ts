/**
 * `node dist/bench/million.js [--files N] [--catalogs N] [--driver NAME]`: resident memory of a mount after
 * its whole tree was walked twice, by default 1,000,000 files in 2,000 nested catalogs.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  directory,
  file,
  makeRepository,
  type DirectorySpec,
  type EntrySpec,
} from '../lib/publish/write-repository.js';
import { mount, type Mount, type Served } from './workbench.js';

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '1000000' },
    catalogs: { type: 'string', default: '2000' },
    driver: { type: 'string', default: 'kernel' },
  },
});

const filesInDirectory = 50;

interface Forest {
  readonly groups: Record<string, EntrySpec>;
  /** What `find` sees, the root as well. */
  readonly entries: number;
}

/** The catalogs lie in groups, so that no directory is large. All of them share one spec, which keeps making cheap. */
function makeForest(files: number, catalogs: number): Forest {
  const folders = Math.max(1, Math.round(files / catalogs / filesInDirectory));
  const folder = directory(numbered('libexample-part', filesInDirectory, someFile));
  const nested: DirectorySpec = {
    ...directory(numbered('folder', folders, () => folder)),
    nested: true,
  };
  const width = Math.ceil(Math.sqrt(catalogs));
  const count = Math.ceil(catalogs / width);
  const groups = numbered('group', count, (group) =>
    directory(numbered('package', Math.min(width, catalogs - group * width), () => nested)),
  );
  return { groups, entries: 1 + count + catalogs * (1 + folders * (1 + filesInDirectory)) };
}

const contents = [100, 2000, 9000].map((size) => Buffer.alloc(size, `content of ${size} bytes\n`));

function someFile(index: number): EntrySpec {
  return file(contents[index % contents.length] ?? '', { mode: index % 10 === 0 ? 0o755 : 0o644 });
}

function numbered(
  name: string,
  count: number,
  make: (index: number) => EntrySpec,
): Record<string, EntrySpec> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`${name}${index}`, make(index)]),
  );
}

function serve(place: string, { groups }: Forest): Served {
  const made = makeRepository({
    fqrn: 'million.example.org',
    revisions: [{ tree: groups, tags: { million: '' } }],
  });
  const key = join(place, 'master.pub');
  writeFileSync(key, made.masterKey);
  return { directory: place, url: made.writeTo(join(place, 'served')), tag: 'million', key };
}

/** Walks all of it; its lines are counted and thrown away. */
async function walk(mounted: Mount, entries: number, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  const started = performance.now();
  const seen = await countLines('find', [mounted.path, '-ls'], signal);
  const seconds = (performance.now() - started) / 1000;
  if (seen !== entries) throw new Error(`${seen} entries seen of ${entries}`);
  const { pid, rss, tree } = await mounted.status();
  const memory = readFileSync(`/proc/${pid}/status`, 'utf8');
  const resident = ['VmRSS', 'VmHWM', 'RssAnon', 'RssFile'].map((name) => {
    const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(memory)?.[1];
    return `${name} ${megabytes(Number(kibibytes) * 1024)}`;
  });
  return [
    `${entries} entries`,
    `${seconds.toFixed(1)} s`,
    ...resident,
    `status says ${megabytes(rss)}`,
    `${tree.catalogsOpen} catalogs open of ${tree.catalogsOpened} opened`,
  ].join(', ');
}

/** Resolves once the command is over, so that it no longer keeps the mount busy. */
async function countLines(
  command: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const stop = (): void => void child.kill();
  signal.addEventListener('abort', stop);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  let lines = 0;
  child.stdout.on('data', (piece: Buffer) => {
    for (let at = piece.indexOf(10); at !== -1; at = piece.indexOf(10, at + 1)) lines++;
  });
  const code = await ended;
  signal.removeEventListener('abort', stop);
  if (code !== 0) throw new Error(`${command} ended with ${code ?? 'a signal'}`);
  return lines;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

async function main(): Promise<void> {
  // An interrupted walk fails like any other, so that the mount and the directory are removed.
  const interrupt = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      interrupt.abort();
    });
  }
  const place = realpathSync(mkdtempSync(join(tmpdir(), 'pinfs-million-')));
  let mounted: Mount | undefined;
  try {
    process.stderr.write('making the repository\n');
    const started = performance.now();
    const forest = makeForest(Number(values.files), Number(values.catalogs));
    const served = serve(place, forest);
    process.stderr.write(`made in ${((performance.now() - started) / 1000).toFixed(0)} s\n`);
    mounted = await mount(served, values.driver, join(place, 'cache'), []);
    for (const turn of ['first', 'second']) {
      const found = await walk(mounted, forest.entries, interrupt.signal);
      process.stdout.write(`${turn} walk: ${found}\n`);
    }
  } finally {
    try {
      await mounted?.unmount();
    } finally {
      rmSync(place, { recursive: true, force: true });
    }
  }
}

await main();

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { functionsOf } from './tidy-syntax.js';

/** Rooms of lib, lowest first (lib/README.md). */
export const rooms = [
  'format',
  'eviction',
  'options',
  'files',
  'machine',
  'trace',
  'profile',
  'configuration',
  'trust',
  'source',
  'settings',
  'store',
  'tree',
  'filesystem',
  'repository',
  'drivers',
  'mount',
  'laboratory',
  'publish',
] as const;

// Rooms that a room of the list may not look into although they are lower: trust and source
// know format alone.
const forbidden: Readonly<Record<string, readonly string[]>> = {
  source: ['trust'],
  store: ['trust'],
};

/** What lies beside lib, and may use any room of it. */
const outside: readonly string[] = ['bin', 'bench', 'native-test', 'tools', 'examples'];

/** Which rooms may use which dependency. */
const owners: Readonly<Record<string, readonly string[]>> = {
  tweetnacl: ['trust'],
  '@peculiar/x509': ['publish'],
  'reflect-metadata': ['publish'],
  aws4fetch: ['publish', 'testing'],
  valibot: ['format'],
  undici: ['source'],
  'smol-toml': ['settings'],
  'lru-cache': ['store', 'tree', 'laboratory'],
  'better-sqlite3': ['store', 'tree', 'publish', 'testing'],
  pako: ['store', 'publish'],
  'zlib-sync': ['bench'],
  'fuse-native': ['drivers'],
  'dns-packet': ['testing'],
  ajv: ['testing'],
  koffi: ['machine', 'drivers', 'testing'],
  pino: ['mount'],
  'prom-client': ['mount'],
  'playwright-core': ['tests'],
  'hdr-histogram-js': ['laboratory'],
  commander: ['bin'],
  'cli-progress': ['bin'],
  typescript: ['testing'],
  '@xterm/headless': ['testing'],
  tap: ['tests', 'tools'],
  esbuild: ['tools'],
  pinfs: ['examples'],
  'fast-check': ['tests'],
};

export const limits = { fileLines: 400, functionLines: 70 };

export interface SourceFile {
  /** Relative to the checkout, such as `lib/format/hash.ts`. */
  readonly path: string;
  readonly text: string;
}

/** All TypeScript files of the project. */
export function sourceFiles(checkout: string): SourceFile[] {
  return ['lib', ...outside].flatMap((folder) =>
    readdirSync(join(checkout, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.startsWith('fixtures'))
      .map((name) => ({
        path: join(folder, name),
        text: readFileSync(join(checkout, folder, name), 'utf8'),
      })),
  );
}

export function isTest(path: string): boolean {
  return (
    path.endsWith('.test.ts') || path.startsWith('native-test/') || path.endsWith('conformance.ts')
  );
}

/** The modules that a file names, in static and dynamic imports alike. */
function importsOf(text: string): string[] {
  const found = text.matchAll(/(?:^|[\s;(])(?:from|import)\s*\(?\s*'([^']+)'/g);
  return [...found].map((match) => match[1] ?? '');
}

function roomOf(path: string): string {
  const [folder, room, below] = path.split('/');
  if (folder !== 'lib') return folder ?? '';
  return below === undefined ? 'index' : (room ?? '');
}

function rank(room: string): number {
  if (room === 'index') return rooms.length;
  if (room === 'testing' || outside.includes(room)) {
    return rooms.length + 1;
  }
  return (rooms as readonly string[]).indexOf(room);
}

/** Everything that is against the rules of the house, one line each. */
export function violations(files: readonly SourceFile[], readme: string): string[] {
  return [
    ...files.flatMap(importViolations),
    ...cycles(files),
    ...folderCycles(files),
    ...files.flatMap(sizeViolations),
    ...missingRooms(files, readme),
  ];
}

function importViolations(file: SourceFile): string[] {
  const room = roomOf(file.path);
  const here = rank(room);
  const wrong: string[] = [];
  if (here < 0) wrong.push(`${file.path}: '${room}' is no room of lib`);
  for (const name of importsOf(file.text)) {
    if (name.startsWith('.')) {
      const target = roomOf(targetPath(file.path, name));
      const helps = isTest(file.path) && ['testing', 'publish'].includes(target);
      const upward = rank(target) > here && !helps;
      const barred = forbidden[room]?.includes(target) === true && !isTest(file.path);
      if (upward || barred) wrong.push(`${file.path}: ${room} must not import ${name}`);
    } else if (!name.startsWith('node:')) {
      const dependency = name
        .split('/')
        .slice(0, name.startsWith('@') ? 2 : 1)
        .join('/');
      const allowed = owners[dependency] ?? [];
      if (!allowed.includes(room) && !isTest(file.path)) {
        wrong.push(`${file.path}: ${room} must not use ${dependency}`);
      }
    }
  }
  return wrong;
}

/** The .ts file, relative to the checkout, that an import of `name` in the file `from` means. */
function targetPath(from: string, name: string): string {
  const full = resolve('/', dirname(from), name).replace(/\.js$/, '.ts');
  return relative('/', full);
}

/** Folders of one room that know each other, types included. What lies in the room itself may know them all. */
function folderCycles(files: readonly SourceFile[]): string[] {
  const graph = new Map<string, Set<string>>();
  for (const { path, text } of files) {
    const from = dirname(path);
    if (isTest(path) || from.split('/').length < 3) continue;
    const targets = graph.get(from) ?? new Set();
    graph.set(from, targets);
    for (const name of importsOf(text).filter((name) => name.startsWith('.'))) {
      const to = dirname(targetPath(path, name));
      if (to !== from && dirname(to) === dirname(from)) targets.add(to);
    }
  }
  return circlesIn(graph).map((folders) => `folders in a circle: ${folders}`);
}

/** Cycles of imports that are there at run time; `import type` does not count. */
function cycles(files: readonly SourceFile[]): string[] {
  const graph = new Map(
    files.map((file) => {
      const text = file.text.replace(/import type [^;]*;/g, '');
      const targets = importsOf(text).filter((name) => name.startsWith('.'));
      return [file.path, targets.map((name) => targetPath(file.path, name))] as const;
    }),
  );
  return circlesIn(graph).map((files) => `cycle: ${files}`);
}

function circlesIn(graph: ReadonlyMap<string, Iterable<string>>): string[] {
  const found: string[] = [];
  const state = new Map<string, 'open' | 'done'>();
  const visit = (path: string, trail: readonly string[]): void => {
    if (state.get(path) === 'done') return;
    if (state.get(path) === 'open') {
      found.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      return;
    }
    state.set(path, 'open');
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path]);
    state.set(path, 'done');
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}

function sizeViolations(file: SourceFile): string[] {
  const lines = file.text.split('\n');
  const wrong: string[] = [];
  if (lines.length > limits.fileLines) wrong.push(`${file.path}: ${lines.length} lines`);
  if (isTest(file.path)) return wrong;
  for (const { line, lines } of functionsOf(file)) {
    if (lines > limits.functionLines) {
      wrong.push(`${file.path}:${line}: a function of ${lines} lines`);
    }
  }
  return wrong;
}

function missingRooms(files: readonly SourceFile[], readme: string): string[] {
  const folders = files
    .map(({ path }) => dirname(path))
    .filter((folder) => folder.startsWith('lib/'))
    .map((folder) => folder.slice('lib/'.length));
  return [...new Set(folders)]
    .filter((folder) => !readme.includes(`\`${folder}/\``))
    .map((folder) => `lib/README.md has no line for ${folder}/`);
}

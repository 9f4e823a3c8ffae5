import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Environment } from '../repository/open/environment.js';
import { openRepository } from '../repository/open.js';
import type { OpenOptions } from '../repository/open/options.js';
import { readRange, walk } from '../repository/use/path.js';
import type { Repository } from '../repository/repository.js';
import { startBadServer, type BadServer } from './servers/bad-server.js';
import {
  fingerprint,
  signManifest,
  signWhitelist,
  whitelistLines,
  type MadeRepository,
  type MadeRevision,
} from '../publish/write-repository.js';

/** A test, as far as it says when to clean up. */
interface Ending {
  teardown(clean: () => unknown): unknown;
}

/** A server of one repository, and a machine that mounts from it. */
export interface Bench {
  readonly server: BadServer;
  readonly work: string;
  /** What is published now; tests change it. */
  readonly files: Map<string, Buffer>;
  readonly key: string;
  readonly environment: Environment;
  setClock(time: string): void;
  /** Opens with the key and the cache `cache` unless told otherwise; closed at the end of the test. */
  open(pin?: string, options?: Partial<OpenOptions>): Promise<Repository>;
}

/** Starts the server; all is gone at the end of the test. */
export async function openBench(t: Ending, repository: MadeRepository): Promise<Bench> {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-bench-'));
  const files = new Map(repository.files);
  const server = await startBadServer(files, repository.fqrn);
  const key = join(work, 'key.pub');
  writeFileSync(key, repository.masterKey);
  const openOnes = new Set<Repository>();
  let now = new Date('2030-06-01T00:00:00Z');
  t.teardown(async () => {
    for (const one of openOnes) await one.close();
    await server.close();
    rmSync(work, { recursive: true, force: true });
  });
  const environment: Environment = {
    variables: { HOME: work },
    now: () => now,
    network: { retries: 0 },
  };
  return {
    server,
    work,
    files,
    key,
    environment,
    setClock: (time) => (now = new Date(time)),
    async open(pin, options = {}) {
      const source = server.url + (pin === undefined ? '' : `@${pin}`);
      const given = { source, keys: [key], cache: join(work, 'cache'), ...options };
      const opened = await openRepository(given, environment);
      openOnes.add(opened);
      return opened;
    },
  };
}

/** Manifest lines with some of them changed, by letter, signed again. */
export function changedManifest(
  { manifestLines }: MadeRevision,
  change: Readonly<Record<string, string>>,
): Buffer {
  const lines = manifestLines.map((line) => {
    const value = change[line.slice(0, 1)];
    return value === undefined ? line : line.slice(0, 1) + value;
  });
  return signManifest(lines);
}

/** A whitelist that is right, but has expired on the first of February 2020. */
export function expiredWhitelist(fqrn: string): Buffer {
  return signWhitelist(whitelistLines(fqrn, [fingerprint()], '20200201000000'));
}

/** The content of a file. */
export async function readText(repository: Repository, path = '/file'): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of readRange(repository, await walk(repository, path, true))) {
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

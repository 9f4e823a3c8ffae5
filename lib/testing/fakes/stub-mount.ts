import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Driver, Mounted, MountEnd, MountRequest } from '../../drivers/driver.js';
import { PinfsError } from '../../format/errors.js';
import type { Timer } from '../../mount/session/follow.js';
import type { Log } from '../../mount/log.js';
import type { Repository } from '../../repository/repository.js';
import type { Verdict } from '../../trust/verdict/verdict.js';

/** Parts of a mount that do nothing, and note what they were asked: for tests of the mount's life. */

/** A short path, since that of a Unix socket is bounded; removed by `remove`. */
export function temporaryDirectory(): { readonly path: string; readonly remove: () => void } {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'pinfs-t-')));
  return {
    path,
    remove: () => {
      rmSync(path, { recursive: true, force: true });
    },
  };
}

export function stubVerdict(changes: Partial<Verdict> = {}): Verdict {
  return {
    status: 'verified',
    summary: 'signed by a key that was given',
    repository: 'test.example.org',
    rootHash: 'a'.repeat(40),
    revision: 7,
    published: '2015-06-10T12:00:00.000Z',
    tag: undefined,
    judgedAt: '2015-06-11T12:00:00.000Z',
    trustAtGiven: false,
    weakKeyAccepted: false,
    key: undefined,
    fingerprint: undefined,
    whitelist: undefined,
    hashStrength: 'SHA-1',
    signer: undefined,
    steps: [],
    reasons: [],
    ...changes,
  };
}

export interface StubRepository extends Repository {
  readonly closed: () => boolean;
  readonly left: () => boolean;
}

/** Only what a mount's life looks at; the tree and the filesystem have no operations. */
export function stubRepository(
  options: {
    pinned?: boolean;
    ttl?: number;
    rootHash?: string;
    vomsAuthz?: string;
    catalogBytes?: number;
    leave?: () => void;
  } = {},
): StubRepository {
  let closed = false;
  let left = false;
  const rootHash = options.rootHash ?? 'a'.repeat(40);
  const repository = {
    fqrn: 'test.example.org',
    verdict: stubVerdict({ rootHash }),
    opening: {
      headRequests: { since: 0, at: 0, again: undefined, errors: 0, failedAt: undefined },
    },
    judgedAgain: (_opening: unknown, verdict: Verdict) => {
      repository.verdict = verdict;
    },
    catalogBytes: options.catalogBytes ?? 57344,
    tree: {
      properties: { ttl: options.ttl ?? 240, vomsAuthz: options.vomsAuthz },
      statistics: { catalogsOpened: 3, catalogsOpen: 2, directoriesLoaded: 5, rowsRefused: 0 },
    },
    filesystem: {},
    descriptor: { identity: { sourceLabel: 'http://127.0.0.1/test.example.org', rootHash } },
    store: {
      directory: '/nowhere/cache',
      statistics: {
        hits: 3,
        catalogHits: 1,
        catalogMisses: 1,
        misses: 1,
        stored: 2048,
        evicted: 0,
        bytes: 4096,
        limit: 2 ** 32,
        rebuilt: 0,
        notStored: undefined,
        failures: {},
        lastFailure: undefined,
      },
    },
    pinned: options.pinned ?? true,
    live: () => ({ trust: { rootHash, verdict: '' } }),
    leave: () => {
      left = true;
      options.leave?.();
    },
    left: () => left,
    traffic: { requests: 4, bytes: 1000, failures: 0 },
    run: () => Promise.reject(new Error('a stub runs nothing')),
    close: () => {
      closed = true;
      return Promise.resolve();
    },
    closed: () => closed,
  };
  return repository as unknown as StubRepository;
}

export interface StubDriver extends Driver {
  readonly calls: string[];
  readonly requests: MountRequest[];
  /** While true, an orderly unmount ends with MOUNT_BUSY. */
  busy: boolean;
  end(end: MountEnd): void;
}

export function stubDriver(name: Driver['name'] = 'kernel'): StubDriver {
  let settle: (end: MountEnd) => void = () => undefined;
  const ended = new Promise<MountEnd>((resolve) => {
    settle = resolve;
  });
  const calls: string[] = [];
  const requests: MountRequest[] = [];
  const mounted: Mounted = {
    ended,
    replace: (descriptor) => {
      calls.push(`replace ${descriptor.identity.sourceLabel}`);
      return Promise.resolve();
    },
    line: undefined,
    record: (sink) => {
      calls.push(sink === undefined ? 'record off' : 'record on');
      return Promise.resolve();
    },
    unmount: (mode) => {
      calls.push(`unmount ${mode}`);
      if (driver.busy && mode === 'orderly') {
        return Promise.reject(new PinfsError('MOUNT_BUSY', 'in use by 12 (bash: open file)'));
      }
      settle({ reason: 'unmounted', message: 'unmounted' });
      return Promise.resolve();
    },
    statistics: { requests: { LOOKUP: 5, READ: 2 }, errors: { OBJECT_MISSING: 1 }, notCarried: 0 },
  };
  const driver: StubDriver = {
    name,
    calls,
    requests,
    busy: false,
    end: settle,
    mount: (request) => {
      calls.push(`mount ${request.mountpoint}`);
      requests.push(request);
      return Promise.resolve(mounted);
    },
  };
  return driver;
}

/** A clock that stands until it is turned. As on a real machine, setting it moves no timer. */
export interface StubTimer extends Timer {
  /** Lets time pass; due calls are made in order, and what they begin gets to run. */
  advance(milliseconds: number): Promise<void>;
  set(now: number): void;
  readonly waiting: () => number;
}

export function stubTimer(start = Date.UTC(2020, 0)): StubTimer {
  let offset = start;
  let running = 0;
  let calls: { at: number; callback: () => void }[] = [];
  return {
    now: () => running + offset,
    after: (milliseconds, callback) => {
      const call = { at: running + milliseconds, callback };
      calls.push(call);
      return () => {
        calls = calls.filter((other) => other !== call);
      };
    },
    advance: async (milliseconds) => {
      const end = running + milliseconds;
      for (let bound = 0; bound < 100_000; bound += 1) {
        const next = calls.toSorted((a, b) => a.at - b.at)[0];
        if (next === undefined || next.at > end) break;
        calls = calls.filter((other) => other !== next);
        running = Math.max(running, next.at);
        next.callback();
        await turn();
      }
      running = end;
      await turn();
    },
    set: (now) => {
      offset = now - running;
    },
    waiting: () => calls.length,
  };
}

/** Lets everything that is ready run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export interface StubLog extends Log {
  readonly lines: string[];
}

export function stubLog(): StubLog {
  const lines: string[] = [];
  const write = (level: string) => (message: string) => {
    lines.push(`${level} ${message}`);
  };
  return { lines, info: write('info'), warn: write('warn'), error: write('error') };
}

/** For handlers of a control socket that nobody asks for another pin. */
export function notRepinned(): Promise<never> {
  return Promise.reject(new Error('another pin was asked for'));
}

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Mounted } from '../lib/drivers/driver.js';
import type { UnmountMode } from '../lib/machine/unmount.js';
import { mountKernel } from '../lib/drivers/kernel/main/driver.js';
import type { Settings } from '../lib/drivers/kernel/worker/service.js';
import { asPinfsError, PinfsError } from '../lib/format/errors.js';
import type { Store } from '../lib/store/store.js';
import type { Want } from '../lib/store/want.js';
import { fakeFilesystem, fakeDescriptor } from '../lib/testing/fakes/fake-session.js';
import { makeFakeTree } from '../lib/testing/fakes/fake-tree.js';

/**
 * A process that serves the filesystem of `lib/testing/fakes/fake-maker.ts` on a real mount, and does what
 * its parent says: fetches end only when told. Started with fork(); the mount is its own, so that a test
 * can kill it, and never waits for itself.
 */
export interface DaemonOptions {
  readonly mountpoint: string;
  readonly lifetime?: 'pinned' | number;
  readonly allowOther?: boolean;
  readonly deadline?: number;
  readonly trace?: string;
  readonly passthrough?: boolean;
  /** Content of the file that stands behind `big`; another one than READ gives. */
  readonly backing?: string;
  readonly settings?: Partial<Settings>;
}

export type ToDaemon =
  /** The object that a slow name lacks is there now. */
  | { readonly kind: 'have'; readonly name: string }
  | { readonly kind: 'fail'; readonly name: string }
  | { readonly kind: 'replace'; readonly rootHash: string }
  | { readonly kind: 'unmount'; readonly mode: UnmountMode }
  /** Blocks the main thread. */
  | { readonly kind: 'block'; readonly milliseconds: number }
  | { readonly kind: 'throw' }
  | { readonly kind: 'statistics' };

export type FromDaemon =
  | { readonly kind: 'mounted' }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
  | { readonly kind: 'fetch'; readonly name: string }
  | { readonly kind: 'dropped'; readonly name: string }
  | { readonly kind: 'done'; readonly of: ToDaemon['kind']; readonly error?: string }
  | { readonly kind: 'statistics'; readonly requests: Partial<Record<string, number>> }
  | { readonly kind: 'ended'; readonly reason: string };

const options = JSON.parse(process.argv[2] ?? '{}') as DaemonOptions;
const directory = mkdtempSync(join(tmpdir(), 'pinfs-kernel-daemon-'));
process.on('exit', () => {
  rmSync(directory, { recursive: true, force: true });
});

function tell(message: FromDaemon): void {
  if (process.send === undefined) process.stdout.write(`${JSON.stringify(message)}\n`);
  else if (process.connected) process.send(message);
}

const fetches = new Map<string, { resolve: () => void; reject: (error: Error) => void }>();

function fetch(want: Want, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    fetches.set(want.path, { resolve, reject });
    tell({ kind: 'fetch', name: want.path });
    signal?.addEventListener('abort', () => {
      tell({ kind: 'dropped', name: want.path });
      reject(new PinfsError('INTERRUPTED', 'dropped'));
    });
  });
}

function descriptorOf(rootHash: string) {
  const descriptor = fakeDescriptor(directory);
  return { ...descriptor, identity: { ...descriptor.identity, rootHash } };
}

async function obey(mounted: Mounted, message: ToDaemon): Promise<void> {
  switch (message.kind) {
    case 'have':
      writeFileSync(join(directory, message.name), '');
      fetches.get(message.name)?.resolve();
      return;
    case 'fail':
      fetches.get(message.name)?.reject(new PinfsError('OBJECT_MISSING', 'told to fail'));
      return;
    case 'replace':
      await mounted.replace(descriptorOf(message.rootHash), filesystem);
      return;
    case 'unmount':
      await mounted.unmount(message.mode);
      return;
    case 'block':
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, message.milliseconds);
      return;
    case 'throw':
      setImmediate(() => {
        throw new Error('the main thread throws');
      });
      return;
    case 'statistics':
      tell({ kind: 'statistics', requests: mounted.statistics.requests });
      return;
  }
}

const bigSize = 300_000;
const filesystem = fakeFilesystem(makeFakeTree({ children: {} }));

async function main(): Promise<void> {
  if (options.backing !== undefined) {
    writeFileSync(join(directory, 'backing-big'), options.backing.repeat(bigSize));
  }
  const store: Pick<Store, 'directory' | 'fetch' | 'fetchAhead'> = {
    directory,
    fetch,
    fetchAhead: () => undefined,
  };
  const mounted = await mountKernel(
    {
      mountpoint: options.mountpoint,
      source: 'pinfs:made.example.org',
      descriptor: descriptorOf('first'),
      filesystem,
      // The driver asks for no more of a store than this.
      store: store as Store,
      lifetime: options.lifetime ?? 'pinned',
      allowOther: options.allowOther ?? false,
      suid: false,
      dev: false,
      deadline: options.deadline ?? 20_000,
      minRate: 1024,
      noXattrs: false,
      log: () => undefined,
      trace: options.trace,
      passthrough: options.passthrough,
    },
    {
      maker: new URL('../lib/testing/fakes/fake-maker.js', import.meta.url).href,
      ...(options.settings === undefined ? {} : { settings: options.settings }),
    },
  );
  const answers = new Set<Promise<void>>();
  process.on('message', (message: ToDaemon) => {
    const answer = obey(mounted, message).then(
      () => {
        tell({ kind: 'done', of: message.kind });
      },
      (error: unknown) => {
        tell({ kind: 'done', of: message.kind, error: asPinfsError(error).code });
      },
    );
    answers.add(answer);
  });
  process.on('SIGTERM', () => void mounted.unmount('force'));
  tell({ kind: 'mounted' });
  const { reason } = await mounted.ended;
  tell({ kind: 'ended', reason });
  await Promise.all(answers);
  if (process.connected) process.disconnect();
}

main().catch((error: unknown) => {
  const { code, message } = asPinfsError(error);
  tell({ kind: 'refused', code, message });
  if (process.connected) process.disconnect();
});

import { chmodSync, openSync, closeSync, readFileSync } from 'node:fs';
import t from 'tap';
import { PinfsError } from '../format/errors.js';
import { currentMounts, unmountPath } from './unmount.js';

// Stands in for the tools: PATH holds nothing else, so that no real one can run.
async function withTools<T>(
  t: { testdir(files: Record<string, string>): string },
  scripts: Record<string, string>,
  work: (directory: string) => Promise<T>,
): Promise<T> {
  const directory = t.testdir(scripts);
  for (const name of Object.keys(scripts)) chmodSync(`${directory}/${name}`, 0o755);
  const path = process.env['PATH'];
  process.env['PATH'] = directory;
  try {
    return await work(directory);
  } finally {
    process.env['PATH'] = path;
  }
}

async function errorOf(work: Promise<unknown>): Promise<PinfsError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof PinfsError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

const failing = (message: string) => `#!/bin/sh\necho "${message}" >&2\nexit 1\n`;

void t.test('what is no mountpoint is not unmounted', async (t) => {
  const directory = t.testdir({});
  t.equal((await errorOf(unmountPath(directory, 'orderly'))).code, 'NOT_MOUNTED');
});

void t.test('a mount in use is told with who holds it', async (t) => {
  await withTools(t, { fusermount3: failing('Device or resource busy') }, async () => {
    // /proc is always mounted; its files serve as those that are open.
    const fd = openSync('/proc/self/mountinfo', 'r');
    const error = await errorOf(unmountPath('/proc', 'orderly'));
    closeSync(fd);
    t.equal(error.code, 'MOUNT_BUSY');
    t.match(error.message, new RegExp(`in use by .*${process.pid} \\(.*: open file\\)`));
    t.match(error.advice, /pinfs umount --lazy \/proc;.*pinfs umount --force \/proc/);
  });
});

void t.test('the tools get their arguments as they are, without a shell', async (t) => {
  const tool = '#!/bin/sh\necho "$#|$1|$2|$3" > "$0.out"\n';
  await withTools(t, { fusermount3: tool }, async (directory) => {
    await unmountPath('/proc', 'lazy');
    t.equal(readFileSync(`${directory}/fusermount3.out`, 'utf8'), '3|-uz|--|/proc\n');
    await unmountPath('/proc', 'orderly');
    t.equal(readFileSync(`${directory}/fusermount3.out`, 'utf8'), '3|-u|--|/proc\n');
  });
});

void t.test('where one tool is missing or fails the next is tried', async (t) => {
  const ok = '#!/bin/sh\necho "$*" > "$0.out"\n';
  const tools = { fusermount: failing('not permitted'), umount: ok };
  await withTools(t, tools, async (directory) => {
    await unmountPath('/proc', 'lazy');
    t.equal(readFileSync(`${directory}/umount.out`, 'utf8'), '-l -c -i -- /proc\n');
  });
});

void t.test('when nothing helps the last words are told', async (t) => {
  await withTools(t, { umount: failing('must be superuser') }, async () => {
    const error = await errorOf(unmountPath('/proc', 'orderly'));
    t.equal(error.code, 'MOUNT_FAILED');
    t.match(error.message, /must be superuser/);
  });
  await withTools(t, {}, async () => {
    const error = await errorOf(unmountPath('/proc', 'orderly'));
    t.equal(error.code, 'MOUNT_FAILED');
    t.match(error.advice, /apt-get install -y fuse3/);
  });
});

void t.test('the mounts of this process are read', async (t) => {
  const mounts = await currentMounts();
  t.ok(mounts.some((it) => it.mountpoint === '/proc' && it.type === 'proc'));
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { hashBytes, objectPath } from '../../format/hash.js';
import { storageConformance } from '../../testing/suites/storage-conformance.js';
import { openStorage } from './open.js';

void t.test('a directory is a storage', async (t) => {
  const root = join(t.testdir(), 'made', 'here');
  await storageConformance(t, () => openStorage(root));
  t.same(readdirSync(join(root, '.pinfs', 'new')), [], 'nothing is left aside');
});

void t.test('what can not be written to is told, and nothing half is left', async (t) => {
  const root = t.testdir({ file: '' });
  await t.rejects(openStorage(join(root, 'file')), { code: 'STORAGE_FAILED' });
  const storage = await openStorage(join(root, 'storage'));
  await t.rejects(storage.write('data/00/x', { file: join(root, 'nowhere'), size: 1 }), {
    code: 'STORAGE_FAILED',
  });
  writeFileSync(join(root, 'storage', 'folder'), '');
  await t.rejects(storage.write('folder/x', Buffer.from('1')), { code: 'STORAGE_FAILED' });
  t.same(readdirSync(join(root, 'storage', '.pinfs', 'new')), []);
});

void t.test('a publisher that was killed leaves no lock', async (t) => {
  const root = t.testdir();
  const module = new URL('./open.js', import.meta.url).href;
  const script = `const { openStorage } = await import(${JSON.stringify(module)});
    const storage = await openStorage(${JSON.stringify(root)});
    await storage.lock(); console.log('locked'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
  await once(child.stdout, 'data');
  const storage = await openStorage(root);
  await t.rejects(storage.lock(), { code: 'STORAGE_BUSY', message: `process ${child.pid}` });
  child.kill('SIGKILL');
  await once(child, 'exit');
  await (
    await storage.lock()
  )();
});

void t.test('what the disk never got of an earlier run of the machine is dropped', async (t) => {
  const root = t.testdir();
  const whole = Buffer.from('whole');
  const path = (text: string) =>
    objectPath({ hash: hashBytes('sha1', Buffer.from(text)), kind: 'chunk' });
  const first = await openStorage(root);
  await first.write(path('whole'), whole);
  await first.write(path('torn'), Buffer.from(''));
  const marker = join(root, '.pinfs', 'unsynced');
  t.ok(existsSync(marker), 'until something that names objects is written');
  mkdirSync(join(root, 'data', 'ff'));
  const old = join(root, objectPath({ hash: hashBytes('sha1', whole), kind: 'data' }));
  writeFileSync(old, 'damaged long ago, which is not for now');
  utimesSync(old, 1, 1);
  await (
    await first.lock()
  )();
  t.ok(existsSync(join(root, path('torn'))), 'in the same run of the machine nothing is lost');
  t.notOk(existsSync(marker));
  await first.write(path('more'), Buffer.from('more'));
  const second = await openStorage(root);
  await second.write(path('torn'), Buffer.from(''));
  writeFileSync(marker, 'another run');
  utimesSync(marker, statSync(marker).atime, new Date(Date.now() - 5000));
  await (
    await second.lock()
  )();
  t.notOk(existsSync(join(root, path('torn'))));
  t.ok(existsSync(join(root, path('whole'))));
  t.ok(existsSync(old));
  await second.write(path('last'), Buffer.from('last'));
  await second.write('.cvmfspublished', Buffer.from(''));
  t.notOk(existsSync(marker), 'synced before what names it');
});

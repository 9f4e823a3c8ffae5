import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { temporaryDirectory } from '../../testing/fakes/stub-mount.js';
import { notifyReady, notifyStatus } from './notify.js';

void t.test('systemd is told when it asked', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const fake = join(path, 'systemd-notify');
  writeFileSync(fake, '#!/bin/sh\nprintf "%s\\n" "$@" > "$0.said"\n', { mode: 0o755 });
  await notifyReady('mounted', { PATH: path, NOTIFY_SOCKET: '/run/systemd/notify' });
  t.equal(readFileSync(`${fake}.said`, 'utf8'), '--ready\n--status=mounted\n');
  await notifyStatus('offline', { PATH: path, NOTIFY_SOCKET: '/run/systemd/notify' });
  t.equal(readFileSync(`${fake}.said`, 'utf8'), '--status=offline\n');
});

void t.test('nobody is told when nobody asked, and a missing program is no error', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  await notifyReady('mounted', { PATH: path });
  await t.resolves(notifyReady('mounted', { PATH: path, NOTIFY_SOCKET: '/run/systemd/notify' }));
});

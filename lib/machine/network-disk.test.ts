import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { cacheOfHost, networkDisk } from './network-disk.js';

void t.test('on a disk of the network each machine has a cache of its own', (t) => {
  const nfs = () => 0x6969;
  const ext4 = () => 0xef53;
  t.equal(networkDisk('/home/u', nfs), 'NFS');
  t.equal(networkDisk('/home/u', ext4), undefined);
  t.equal(
    networkDisk('/home/u', () => 0xff534d42 | 0),
    'SMB',
    'as a negative number too',
  );
  t.equal(
    networkDisk('/home/u', () => undefined),
    undefined,
  );
  t.equal(cacheOfHost('/home/u/pinfs', ext4), '/home/u/pinfs');
  t.match(cacheOfHost('/home/u/pinfs', nfs), /^\/home\/u\/pinfs\/host-[A-Za-z0-9-]+-[0-9a-f]{8}$/);
  t.equal(cacheOfHost('/home/u/pinfs', nfs), cacheOfHost('/home/u/pinfs', nfs));
  t.equal(cacheOfHost('/home/u/pinfs', nfs, 'host-a'), '/home/u/pinfs/host-a');
  t.end();
});

void t.test('the disk is asked for what is still to be made', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-network-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  t.equal(networkDisk(join(directory, 'a', 'b')), networkDisk(directory));
  t.equal(networkDisk('/proc/self/none'), undefined);
  t.end();
});

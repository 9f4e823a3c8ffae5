import t from 'tap';
import { fromText } from '../format/bytes.js';
import { findMount, parseMountinfo, unescapeOctal } from './mountinfo.js';

const sample = [
  '22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard',
  '42 22 0:39 / /mnt/a\\040b ro,nosuid,nodev - fuse.pinfs pinfs ro,user_id=0,group_id=0',
  '43 42 0:40 / /mnt/a\\040b ro - fuse.pinfs pinfs ro',
  '44 22 0:41 /sub /mnt/\\134\\011\\012 rw shared:1 master:2 propagate_from:3 - tmpfs none rw',
  'nonsense',
  '45 22 - x',
  '',
].join('\n');

void t.test('mountinfo is read with its optional fields, and broken lines are left out', (t) => {
  const mounts = parseMountinfo(sample);
  t.equal(mounts.length, 4);
  t.same(mounts[1], {
    id: 42,
    parent: 22,
    root: '/',
    device: '0:39',
    mountpoint: '/mnt/a b',
    options: ['ro', 'nosuid', 'nodev'],
    type: 'fuse.pinfs',
    source: 'pinfs',
    superOptions: ['ro', 'user_id=0', 'group_id=0'],
  });
  t.match(mounts[3], { mountpoint: '/mnt/\\\t\n', type: 'tmpfs', device: '0:41' });
  t.end();
});

void t.test('the topmost of stacked mounts is found', (t) => {
  const mounts = parseMountinfo(sample);
  t.equal(findMount(mounts, '/mnt/a b')?.device, '0:40');
  t.equal(findMount(mounts, '/mnt/a'), undefined);
  t.end();
});

void t.test('paths are compared by their bytes', (t) => {
  const line = `50 22 0:50 / ${fromText('/mnt/é')} ro - fuse.pinfs pinfs ro`;
  t.equal(findMount(parseMountinfo(line), '/mnt/é')?.device, '0:50');
  t.equal(unescapeOctal('a\\0403\\\\999'), 'a 3\\\\999', 'only three octal digits are an escape');
  t.end();
});

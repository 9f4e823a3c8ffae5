/** `node open-read-close.js LIST`: opens, reads and closes each file of a list (names end with NUL) below here. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

const buffer = Buffer.alloc(65_536);
for (const name of readFileSync(process.argv[2] ?? '', 'utf8').split('\0')) {
  const fd = openSync(name, 'r');
  readSync(fd, buffer);
  closeSync(fd);
}

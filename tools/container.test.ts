import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { validate } from 'dockerfile-utils';
import t from 'tap';
import { checkout } from '../lib/testing/genuine.js';
import { pinfsInProcess } from '../native-test/in-process.js';

const place = join(checkout, 'share', 'container');
const containerfile = readFileSync(join(place, 'Containerfile'), 'utf8');

void t.test('the Containerfile is one, and ends as an ordinary user', (t) => {
  t.same(
    validate(containerfile).map(({ message }) => message),
    [],
  );
  t.not(validate(containerfile.replace('\nUSER ', '\nUSR ')).length, 0, 'it can be seen');
  t.same(containerfile.match(/^USER .*$/gm), ['USER pinfs']);
  t.match(containerfile, /^HEALTHCHECK .*\\\n +CMD .*pinfs status --json/m);
  t.match(containerfile, /^FROM \S+:[\w.-]+$/m, 'of a version that is named');
  t.end();
});

void t.test('what its read-me types has the options that there are', async (t) => {
  const readme = readFileSync(join(place, 'README.md'), 'utf8').replaceAll(/,\s*/g, ' ');
  const help = (await pinfsInProcess(['mount', '--help'])).stdout;
  const typed = [...readme.matchAll(/mount (--foreground[^\n]*)/g)].flatMap(
    ([, line = '']) => line.match(/--[a-z-]+/g) ?? [],
  );
  t.ok(typed.length >= 8, typed.join(' '));
  for (const flag of new Set(typed)) t.ok(help.includes(flag), flag);
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { fromText } from '../../lib/format/bytes.js';
import { directory, file, makeRepository, symlink } from '../../lib/publish/write-repository.js';
import { pinfsInProcess } from '../../native-test/in-process.js';

// Clears the screen, writes the title, ends a string, turns the order of letters round, hides.
const evil = '\x1b[2J\x1b]0;title\x07\x9d52;\x9c\u202egpj\u2066\x7f\r\x08';
const inSql = `'${evil.replace(/[^ -~]/g, (char) => `'||char(${char.charCodeAt(0)})||'`)}'`;
const name = fromText(`name${evil}`);
const raw = `raw${fromText(evil)}\xff\x9b31m`;

const made = makeRepository({
  revisions: [
    {
      tree: {
        [name]: file('x', { xattrs: { [fromText(`user.${evil.slice(0, 20)}`)]: evil } }),
        [raw]: symlink(`target${raw}`),
        dir: directory({ [name]: directory({ [name]: file('gone') }) }),
        broken: directory({ [name]: file('b') }),
      },
      tags: { [`tag${evil}`]: `description${evil}` },
      sql: `UPDATE catalog SET size=-1 WHERE hash IS NOT NULL AND name LIKE 'name%' AND size=1;`,
      historySql: `INSERT INTO tags VALUES ('odd', ${inSql}, 1, 1, 0, ${inSql}, 0, '');`,
    },
  ],
});
const closed = makeRepository({
  fqrn: 'closed.example.org',
  revisions: [{ tree: {}, properties: { voms_authz: `member${evil}` } }],
});
const unsafe = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

async function run(args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await pinfsInProcess(args);
  return stdout + stderr;
}

void t.test('whatever is printed, foreign text writes nothing to the terminal', async (t) => {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-printing-'));
  t.teardown(() => rmSync(work, { recursive: true, force: true }));
  const source = made.writeTo(work);
  // The content of files is missing, so that there is something to complain of.
  for (const object of made.files.keys())
    if (/^data\/.*[0-9a-f]$/.test(object)) rmSync(join(source, object));
  const key = join(work, 'key.pub');
  writeFileSync(key, made.masterKey);
  const path = Buffer.from(name, 'latin1').toString();
  const options = ['--key', key, '--cache', join(work, 'cache')];
  const pinned = `${source}@tag${evil}`;
  const commands: readonly (readonly string[])[] = [
    ['ls', '-lR', pinned],
    ['find', pinned],
    ['find', '--ls', pinned],
    ['stat', pinned, path],
    ['stat', pinned, `dir/${path}/${path}`],
    ['cat', pinned, `dir/${path}/${path}`],
    ['cat', pinned, path],
    ['ls', pinned, `nothing${evil}`],
    ['tags', source],
    ['info', pinned],
    ['info', `${source}@odd`],
    ['info', `${source}@no${evil}`],
    ['info', closed.writeTo(work)],
    ['check', pinned],
    ['cp', '-r', pinned, 'dir', join(work, 'copy')],
    ['cache', 'forget', `x${evil}`],
    ['status', `x${evil}`],
  ];
  for (const [index, command] of commands.entries()) {
    for (const more of [[], ['--verbose'], ['--json']]) {
      const given = command[0] === 'cache' ? ['--cache', join(work, 'cache')] : options;
      const output = await run([...command, ...more, ...(command[0] === 'status' ? [] : given)]);
      t.notMatch(output, unsafe, `${index} ${command[0] ?? ''} ${more.join(' ')}`);
      t.not(output, '');
    }
  }
});

import { execFileSync } from 'node:child_process';
import t from 'tap';
import { faultBehind } from './descriptors.js';

const vague = Object.assign(new Error('unable to open database file'), { code: 'SQLITE_CANTOPEN' });

void t.test('an error that does not say why is looked into', (t) => {
  t.equal(faultBehind(vague), undefined, 'there are descriptors');
  t.match(faultBehind(Object.assign(new Error(), { code: 'EMFILE' })), { code: 'FILES_EXHAUSTED' });
  t.equal(faultBehind('SQLITE_CANTOPEN'), undefined);
  const module = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
  const script = `
    const { openSync } = await import('node:fs');
    const { faultBehind } = await import(${module('./descriptors.js')});
    const { cacheUnusable } = await import(${module('../store/cache/layout.js')});
    const { default: Database } = await import('better-sqlite3');
    new Database(':memory:').close();
    try { for (;;) openSync('/dev/null', 'r'); } catch {}
    const codes = [];
    try { new Database('/tmp/pinfs-none.db', { fileMustExist: true }); } catch (error) { codes.push(cacheUnusable('/c', error).code); }
    codes.push(faultBehind(Object.assign(new Error(), { code: 'EAI_AGAIN' })).code);
    codes.push(String(faultBehind(Object.assign(new Error(), { code: 'SQLITE_CORRUPT' }))));
    console.log(JSON.stringify(codes));`;
  const command = 'ulimit -n 64; exec "$0" --input-type=module -e "$1"';
  const cwd = import.meta.dirname;
  const output = execFileSync('sh', ['-c', command, process.execPath, script], { cwd });
  const [opened, looked, other] = JSON.parse(output.toString()) as string[];
  t.same([opened, looked, other], ['FILES_EXHAUSTED', 'FILES_EXHAUSTED', 'undefined']);
  t.end();
});

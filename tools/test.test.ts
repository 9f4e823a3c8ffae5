import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { checkout } from '../lib/testing/genuine.js';

interface Ran {
  readonly code: number;
  readonly stdout: string;
}

/** A checkout with the runner and the test files given, as they are after compiling. */
function smallCheckout(t: Test, tests: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'pinfs-tools-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  for (const path of [
    'tools/test.js',
    'tools/test-files.js',
    'lib/testing/genuine.js',
    'lib/testing/doctor.js',
  ]) {
    cpSync(join(checkout, 'dist', path), join(root, 'dist', path));
  }
  symlinkSync(join(checkout, 'node_modules'), join(root, 'node_modules'));
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }');
  for (const folder of ['bin', 'tools', 'bench', 'examples', 'native-test'])
    mkdirSync(join(root, folder));
  for (const [path, text] of Object.entries(tests)) {
    for (const [name, content] of [
      [join(root, path), ''],
      [join(root, 'dist', path.replace(/\.ts$/, '.js')), text],
    ] as const) {
      mkdirSync(join(name, '..'), { recursive: true });
      writeFileSync(name, content);
    }
  }
  return root;
}

async function runTests(root: string, ...words: string[]): Promise<Ran> {
  const args = [join(root, 'dist', 'tools', 'test.js'), ...words];
  // As a run of its own: below another one, tap prints no sum.
  const own = Object.entries(process.env).filter(([name]) => !/^_?TAP/.test(name));
  const env = Object.fromEntries(own);
  return await new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: tmpdir(), env }, (error, stdout) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout }),
    );
  });
}

const passing = "import t from 'tap'; t.pass('one'); t.pass('two');";
const scenes = {
  'lib/store/good.test.ts': passing,
  'lib/format/skipping.test.ts': "import t from 'tap'; t.test('a', { skip: 'no' }, () => {});",
  'bin/bad.test.ts': "import t from 'tap'; t.equal(1, 2);",
  'bin/killed.test.ts': "import t from 'tap'; t.pass('one'); process.kill(process.pid, 'SIGKILL');",
  'native-test/silent.test.ts': 'process.exit(3);',
};

t.test('what failed, was killed or said nothing is counted, and ends the run badly', async (t) => {
  const more = Object.fromEntries(
    ['tools', 'bench', 'examples'].map((folder) => [`${folder}/good.test.ts`, passing]),
  );
  const root = smallCheckout(t, { ...scenes, ...more });
  const all = await runTests(root);
  t.equal(all.code, 1);
  for (const line of [
    /^ok \d+ - dist\/lib\/store\/good.test.js # time=/m,
    /^not ok \d+ - dist\/bin\/bad.test.js/m,
    /^not ok \d+ - dist\/bin\/killed.test.js/m,
    /^not ok \d+ - dist\/native-test\/silent.test.js/m,
    /^# \{ total: 12, pass: 9, fail: 2, skip: 1 \}$/m,
  ]) {
    t.match(all.stdout, line);
  }
});

t.test('a room, a file, a compiled file', async (t) => {
  const root = smallCheckout(t, { ...scenes, 'tools/good.test.ts': passing });
  for (const word of ['lib/store', 'lib/store/', './lib/store/good.test.ts', 'tools']) {
    const ran = await runTests(root, word);
    t.same([ran.code, /^# \{.*/m.exec(ran.stdout)?.[0]], [0, '# { total: 2, pass: 2 }'], word);
  }
  const compiled = await runTests(root, 'dist/lib/store/good.test.js', 'lib/store');
  t.match(compiled.stdout, '# { total: 2, pass: 2 }', 'each file once');
  for (const word of ['lib/attic', 'lib/store/good.ts', '../lib']) {
    const ran = await runTests(root, word);
    t.not(ran.code, 0, word);
    t.match(ran.stdout, `Bail out! no tests in '${word}'`);
  }
});

t.test('a test and what it starts get no loader of tap, and time enough', async (t) => {
  const environment = ['NODE_OPTIONS', 'TAP_TIMEOUT'];
  const root = smallCheckout(t, {
    'lib/environment.test.ts': `
      import t from 'tap';
      t.same(process.execArgv, ['--enable-source-maps']);
      t.same(${JSON.stringify(environment)}.map((name) => process.env[name]), ['', '300']);`,
  });
  t.match(await runTests(root, 'lib'), { code: 0 });
});

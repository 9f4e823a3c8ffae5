import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { serve } from '../lib/source/serve.js';
import { checkout, type ExpectedEntry } from '../lib/testing/genuine.js';
import { file, makeRepository } from '../lib/publish/write-repository.js';
import { fixtureKey, fixtures, type CliResult } from '../native-test/cli.js';

const fqrn = 'analysis.example.org';

interface Place {
  readonly work: string;
  readonly url: string;
  readonly start: (name: string, ...args: string[]) => ChildProcess;
  readonly run: (name: string, ...args: string[]) => Promise<CliResult>;
}

/** A server of `directory` on loopback, and a home of its own for the examples. */
async function place(t: Test, directory: string): Promise<Place> {
  const work = fs.mkdtempSync(join(tmpdir(), 'pinfs-examples-'));
  const server = await serve(directory);
  t.teardown(async () => {
    await server.close();
    fs.rmSync(work, { recursive: true, force: true });
  });
  const xdg = { XDG_CACHE_HOME: '', XDG_STATE_HOME: '', XDG_CONFIG_HOME: '' };
  const env = { ...process.env, HOME: work, ...xdg };
  const script = (name: string): string => join(checkout, 'dist', 'examples', `${name}.js`);
  return {
    work,
    url: server.url,
    start: (name, ...args) => {
      const stdio: ['ignore', 'pipe', 'inherit'] = ['ignore', 'pipe', 'inherit'];
      const child = spawn(process.execPath, [script(name), ...args], { env, stdio });
      t.teardown(() => child.kill('SIGKILL'));
      return child;
    },
    run: async (name, ...args) =>
      await new Promise((resolve) => {
        execFile(process.execPath, [script(name), ...args], { env }, (error, stdout, stderr) =>
          resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
        );
      }),
  };
}

function expected(tag: string): ExpectedEntry[] {
  const text = fs.readFileSync(join(fixtures, 'expected', `${tag}.jsonl`), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as ExpectedEntry);
}

void t.test('read.ts lists a directory, prints a file, and says what is wrong', async (t) => {
  const { url, run } = await place(t, fixtures);
  const source = `${url}/${fqrn}@2015-legacy`;
  const listed = await run('read', source, fixtureKey);
  t.match(listed, { code: 0, stderr: '' });
  const [title, status, ...lines] = listed.stdout.trim().split('\n');
  t.equal(title, `${fqrn}, revision 4, 04d77435a9acf1db47359c15995c764190683149`);
  t.equal(status, 'verified');
  const top = expected('2015-legacy').filter(({ path = '' }) => /^\/[^/]+$/.test(path));
  t.same(
    lines.sort(),
    top
      .map(
        ({ type, size, path = '' }) =>
          `${type === 'dir' ? 'directory' : type} ${size} ${path.slice(1)}`,
      )
      .sort(),
  );
  const text = await run('read', source, fixtureKey, '/README');
  t.match(text, { code: 0, stderr: '' });
  const readme = expected('2015-legacy').find(({ path }) => path === '/README.md');
  t.equal(Buffer.byteLength(text.stdout), readme?.size);
  t.match(await run('read', source, fixtureKey, '/nothing'), { code: 1, stderr: /^NOT_FOUND: / });
  t.match(await run('read', source), { code: 2, stderr: /^usage: / });
});

void t.test('export.ts copies a tree', async (t) => {
  const { url, run, work } = await place(t, fixtures);
  const target = join(work, 'out');
  const args = [`${url}/${fqrn}@2015-legacy`, fixtureKey, '/', target];
  const lines = expected('2015-legacy');
  t.match(await run('export', ...args), { code: 0, stdout: `${lines.length} entries of ${fqrn}@` });
  const { createHash } = await import('node:crypto');
  for (const { path = '', type, mode, mtime, sha256, target: wanted } of lines) {
    const stats = fs.lstatSync(join(target, path));
    if (type === 'symlink') t.equal(fs.readlinkSync(join(target, path)), wanted, path);
    else {
      t.equal((stats.mode & 0o777).toString(8).padStart(4, '0'), mode, path);
      t.equal(Math.floor(stats.mtimeMs / 1000), mtime, path);
    }
    if (type === 'file') {
      const bytes = fs.readFileSync(join(target, path));
      t.equal(createHash('sha256').update(bytes).digest('hex'), sha256, path);
    }
  }
  t.match(await run('export', ...args.slice(0, 3)), { code: 2 });
  t.match(await run('export', ...args), { code: Number, stderr: /EEXIST/ }, 'nothing overwritten');
});

void t.test('follow.ts tells of each head', async (t) => {
  const stays = file('1', { mtime: 5 });
  const made = makeRepository({
    revisions: [
      { tree: { stays, goes: file('2'), grows: file('3') } },
      { tree: { stays, grows: file('33'), comes: file('4') } },
    ],
  });
  const web = fs.mkdtempSync(join(tmpdir(), 'pinfs-examples-web-'));
  t.teardown(() => fs.rmSync(web, { recursive: true, force: true }));
  const manifest = join(made.writeTo(web), '.cvmfspublished');
  const [first, second] = made.revisions;
  fs.writeFileSync(manifest, first?.manifest ?? '');
  const key = join(web, 'key.pub');
  fs.writeFileSync(key, made.masterKey);
  const { url, start } = await place(t, web);

  const child = start('follow', `${url}/${made.fqrn}`, key, '0.1');
  const exited = once(child, 'exit');
  let text = '';
  for await (const piece of child.stdout as AsyncIterable<Buffer>) {
    text += piece.toString();
    if (text.endsWith(`, ${first?.rootHash.text ?? ''}\n`)) {
      fs.writeFileSync(`${manifest}.new`, second?.manifest ?? '');
      fs.renameSync(`${manifest}.new`, manifest);
    }
    if (text.endsWith('~ grows\n')) child.kill('SIGTERM');
  }
  t.same(await exited, [0, null]);
  t.same(text.trim().split('\n'), [
    `revision 1, ${first?.rootHash.text ?? ''}`,
    `revision 2, ${second?.rootHash.text ?? ''}`,
    '+ comes',
    '- goes',
    '~ grows',
  ]);
});

void t.test('diff.ts tells what differs between two snapshots', async (t) => {
  const made = makeRepository({
    revisions: [
      { tree: { kept: file('a'), changed: file('b'), gone: file('c') }, tags: { v1: '' } },
      { tree: { kept: file('a'), changed: file('bb'), came: file('d') }, tags: { v2: '' } },
    ],
  });
  const repository = made.writeTo(t.testdir());
  const { run, work } = await place(t, dirname(repository));
  const key = join(work, 'key.pub');
  fs.writeFileSync(key, made.masterKey);
  const { code, stdout, stderr } = await run('diff', `${repository}@v1`, `${repository}@v2`, key);
  t.match({ code, stderr }, { code: 0, stderr: '' });
  t.same(stdout.trim().split('\n').sort(), ['+ /came', '- /gone', '~ /changed content,time']);
});

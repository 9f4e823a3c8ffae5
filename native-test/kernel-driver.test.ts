import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { run, scene, startClient, type Scene } from './kernel-scene.js';
import { needsAll, needsDriver, needsRoot } from './machine.js';

// What can go wrong between a kernel and its file system daemon: each was a hang once.
const needs = needsAll(needsDriver('kernel'), needsRoot);

// Of the whole file, on a machine that is busy: its end takes the daemons away.
t.setTimeout(240_000);

void t.test('a mount serves, and ends when it is unmounted from outside', needs, async (t) => {
  const it = await scene(t);
  t.equal((await run('cat', it.path('hello'))).out, 'hello, first\n');
  t.match((await run('touch', it.path('new'))).err, /Read-only file system/);
  t.match((await run('cat', it.path('none'))).err, /No such file/);
  t.equal((await run('umount', it.mountpoint)).code, 0);
  t.equal((await it.hear('ended')).reason, 'unmounted');
  await it.gone;
});

void t.test('what a pin has told once is never asked again', needs, async (t) => {
  const it = await scene(t);
  const walk = async () => {
    await run('find', it.mountpoint, '-ls');
    await run('cat', it.path('hello'), it.path('big'));
    await run('stat', it.path('none'));
    await it.ask({ kind: 'statistics' });
    const told = it.said.findLast((message) => message.kind === 'statistics');
    // These two the kernel keeps no answers of.
    const requests = told?.kind === 'statistics' ? told.requests : {};
    return { ...requests, STATFS: 0, GETXATTR: 0 };
  };
  // Short of memory, the kernel forgets some of it: then it asks, and knows it again.
  let known = await walk();
  let silent = false;
  for (let turn = 0; turn < 5 && !silent; turn++) {
    const again = await walk();
    silent = isDeepStrictEqual(again, known);
    known = again;
  }
  t.ok(silent, JSON.stringify(known));
});

void t.test(
  'a held LOOKUP: others are served, and it ends when its object comes',
  needs,
  async (t) => {
    const it = await scene(t);
    const slow = startClient('cat', it.path('slow-name'));
    await it.hear('fetch');
    t.equal((await run('cat', it.path('hello'))).out, 'hello, first\n');
    await it.ask({ kind: 'have', name: 'slow-name' });
    t.equal((await slow.result).out, 'slow name');
  },
);

void t.test(
  'a held LOOKUP can be interrupted and killed, and its fetch is given up',
  needs,
  async (t) => {
    const it = await scene(t);
    for (const [name, signal] of [
      ['slow-name-1', 'SIGINT'],
      ['slow-name-2', 'SIGKILL'],
    ] as const) {
      const slow = startClient('stat', it.path(name));
      await it.hear('fetch', (message) => message.name === name);
      slow.child.kill(signal);
      t.equal((await slow.result).code, signal);
      await it.hear('dropped', (message) => message.name === name);
    }
  },
);

void t.test(
  'a held READ: its reader can be killed, its fetch goes on for others',
  needs,
  async (t) => {
    const it = await scene(t);
    const first = startClient('cat', it.path('slow-read'));
    await it.hear('fetch');
    const second = startClient('cat', it.path('slow-read'));
    first.child.kill('SIGKILL');
    t.equal((await first.result).code, 'SIGKILL');
    await it.ask({ kind: 'have', name: 'slow-read' });
    t.equal((await second.result).out, 'slow read');
    t.notOk(it.said.some(({ kind }) => kind === 'dropped'));
  },
);

void t.test(
  'a failed fetch is an error for the reader, and the next read tries again',
  needs,
  async (t) => {
    const it = await scene(t);
    const reader = startClient('cat', it.path('slow-read'));
    await it.hear('fetch');
    await it.ask({ kind: 'fail', name: 'slow-read' });
    t.match((await reader.result).err, /Input\/output error/);
    await it.ask({ kind: 'have', name: 'slow-read' });
    let out = '';
    for (let round = 0; round < 100 && out === ''; round += 1) {
      out = (await run('cat', it.path('slow-read'))).out;
    }
    t.equal(out, 'slow read');
  },
);

void t.test('no system call outlasts the deadline', needs, async (t) => {
  const it = await scene(t, { deadline: 200 });
  const [name, read] = await Promise.all([
    run('stat', it.path('slow-name')),
    run('cat', it.path('slow-read')),
  ]);
  t.match(name.err, /timed out/);
  t.match(read.err, /timed out|Input\/output error/);
});

void t.test('main is blocked: what is cached is answered', needs, async (t) => {
  const it = await scene(t);
  it.tell({ kind: 'block', milliseconds: 3000 });
  t.equal((await run('cat', it.path('hello'))).out, 'hello, first\n');
  t.notOk(
    it.said.some(({ kind }) => kind === 'done'),
    'and that was in between',
  );
  await it.hear('done');
});

for (const minor of [45, 43]) {
  const how = minor === 45 ? 'by the epoch' : 'by names';
  void t.test(`a head that moves, told ${how}: nothing old is seen`, needs, async (t) => {
    const settings = { noOpen: false, noOpendir: false, wishes: { minor, passthrough: false } };
    const it = await scene(t, { lifetime: 3600, settings });
    const listing = async () => (await run('ls', it.mountpoint)).out.split('\n');
    const look = async (name: string) => (await run('cat', it.path(name))).out;
    t.ok((await listing()).includes('only-first'));
    t.match((await run('stat', it.path('only-second'))).code, 1);
    t.equal(await look('hello'), 'hello, first\n');
    t.equal(await look('sub/same'), 'sub first');
    for (const round of ['second', 'first', 'second'] as const) {
      t.equal(await it.ask({ kind: 'replace', rootHash: round }), undefined);
      const other = round === 'second' ? 'first' : 'second';
      const names = await listing();
      t.ok(names.includes(`only-${round}`), round);
      t.notOk(names.includes(`only-${other}`));
      t.equal((await run('stat', it.path(`only-${other}`))).code, 1);
      t.match(await look('hello'), new RegExp(`^hello, ${round}`));
      t.match(await look('sub/same'), new RegExp(`^sub ${round}`));
      const size = (await run('stat', '-c', '%s', it.path('sub/same'))).out;
      t.equal(Number(size), (await look('sub/same')).length);
    }
  });

  void t.test(`a head moves ${how} while a LOOKUP and a READ are held`, needs, async (t) => {
    const settings = { noOpen: false, noOpendir: false, wishes: { minor, passthrough: false } };
    const it = await scene(t, { lifetime: 3600, settings });
    const name = startClient('cat', it.path('slow-name'));
    const read = startClient('cat', it.path('slow-read'));
    await it.hear('fetch', (message) => message.name === 'slow-name');
    await it.hear('fetch', (message) => message.name === 'slow-read');
    const replaced = it.ask({ kind: 'replace', rootHash: 'second' });
    t.equal((await run('stat', '-f', it.mountpoint)).code, 0, 'others are served meanwhile');
    await it.ask({ kind: 'have', name: 'slow-read' });
    t.equal((await read.result).out, 'slow read', 'an open file stays what it was');
    await it.ask({ kind: 'have', name: 'slow-name' });
    t.equal((await name.result).out, 'slow name');
    t.equal(await replaced, undefined);
    t.match((await run('cat', it.path('hello'))).out, /second/);
  });
}

const passthroughs = async (it: Scene) => {
  await it.ask({ kind: 'statistics' });
  const told = it.said.findLast((message) => message.kind === 'statistics');
  return told?.kind === 'statistics' ? told.requests : {};
};

void t.test('passthrough: the kernel reads large files of the cache itself', needs, async (t) => {
  const it = await scene(t, { passthrough: true, backing: 'K' });
  const big = async () => new Set((await run('cat', it.path('big'))).out);
  t.same(await big(), new Set(['K']), 'from the file, not from READ');
  t.equal((await run('cat', it.path('hello'))).out, 'hello, first\n', 'a small one as usual');
  const both = `exec 3< '${it.path('big')}'; head -c 1 <&3; cat '${it.path('big')}' | tail -c 1; tail -c 1 <&3`;
  t.equal((await run('sh', '-c', both)).out, 'KKK', 'opened twice at once');
  t.equal((await passthroughs(it))['OPENDIR'] ?? 0, 0);
  t.equal(await it.ask({ kind: 'unmount', mode: 'orderly' }), undefined);
});

void t.test('passthrough that is not allowed is no error', needs, async (t) => {
  const it = await scene(t, { passthrough: true });
  t.same(new Set((await run('cat', it.path('big'))).out), new Set(['b']));
  t.ok(((await passthroughs(it))['READ'] ?? 0) > 0);
});

void t.test('a trace has one line for each request', needs, async (t) => {
  const file = join(t.testdir({}), 'trace');
  const it = await scene(t, { trace: file });
  await run('cat', it.path('hello'));
  await it.ask({ kind: 'unmount', mode: 'orderly' });
  await it.gone;
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  const grammar =
    /^[A-Z_0-9]+ unique=\d+ node=[0-9a-f]+ pid=\d+( name="[^"]*"| offset=\d+ size=\d+)? = -?\d+ \d+us$/;
  for (const line of lines) t.match(line, grammar);
  t.ok(lines.some((line) => line.startsWith('LOOKUP ') && line.includes(' name="hello" = 128 ')));
});

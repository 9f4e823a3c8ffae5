import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import {
  directory,
  file,
  makeRepository,
  nested,
  type TreeSpec,
} from '../lib/publish/write-repository.js';
import { pinfs } from './cli.js';
import { needsDriver } from './machine.js';
import { run, scene, shell } from './scene.js';
import { pidOf, until } from './stage.js';

// A mount goes over to another pin while it is in use.

const needs = { ...needsDriver('kernel'), timeout: 240_000 };

function tree(word: string, more: TreeSpec = {}): TreeSpec {
  const files = () =>
    Object.fromEntries(Array.from({ length: 8 }, (_, at) => [`f${at}`, file(`${word}\n`)]));
  return {
    d0: directory(files()),
    d1: directory({ inner: directory(files()), ...files() }),
    d2: nested(files()),
    ...more,
  };
}

const made = makeRepository({
  revisions: [
    { tree: tree('old', { only: file('old\n') }), tags: { old: '' } },
    { tree: tree('new', { added: file('new\n') }), tags: { new: '' } },
    { tree: tree('third'), tags: { third: '' } },
  ],
});

async function mounted(t: Test, pin: string) {
  const here = scene(t, 'kernel');
  const files = new Map(made.files);
  const server = await startBadServer(files, made.fqrn);
  t.teardown(() => server.close());
  const key = join(here.work, 'key.pub');
  writeFileSync(key, made.masterKey);
  const source = `${server.url}${pin}`;
  const mountpoint = await here.mount({ source, args: ['--key', key], at: 'mnt' });
  const repin = (...args: string[]) => pinfs(['repin', mountpoint, ...args]);
  return { here, files, server, mountpoint, repin };
}

/** Reads every file again and again until there is a file $2; says what it could not read, or is none of the words. */
const job = String.raw`
rounds=0
while [ ! -e "$2" ]; do
  seen=0
  for f in "$1"/d?/f? "$1"/d1/inner/f?; do
    read -r line <"$f" || echo "failed $f"
    case $line in old|new) ;; *) echo "wrong $f $line";; esac
    seen=$((seen + 1))
  done
  [ $seen = 32 ] || echo "$seen files"
  rounds=$((rounds + 1))
  sleep 0.05
done
[ $rounds -gt 2 ] || echo "$rounds rounds"
`;

t.test('eight jobs that read all the time notice nothing', needs, async (t) => {
  const { here, mountpoint, repin } = await mounted(t, '@old');
  const enough = join(here.work, 'enough');
  const jobs = Array.from({ length: 8 }, () =>
    run('sh', ['-c', job, 'sh', mountpoint, enough], { timeout: 120_000 }),
  );
  for (const pin of ['new', 'old', 'new']) {
    const { code, stderr } = await repin(`@${pin}`);
    t.same([code, stderr], [0, ''], pin);
    const { stdout } = await shell('cat "$1/d0/f0" "$1/d2/f7"; ls "$1"', mountpoint);
    const names = ['d0', 'd1', 'd2', pin === 'old' ? 'only' : 'added'];
    t.same(stdout.split(/\s+/).filter(Boolean).sort(), [...names, pin, pin].sort(), 'seen at once');
  }
  writeFileSync(enough, '');
  for (const { code, stdout, stderr } of await Promise.all(jobs))
    t.same([code, stdout, stderr], [0, '', ''], 'no failed read');
});

t.test('what is open stays what it was, and is named', needs, async (t) => {
  const { here, mountpoint, repin } = await mounted(t, '@old');
  const script =
    'cd "$1/d1/inner" && exec 5<"$1/d0/f3" && echo in && read line && cat f1 <&5 - ../f2 && ls .. | wc -l';
  const holder = spawn('bash', ['-c', script, 'bash', mountpoint], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  const first = await repin('@new');
  t.equal(first.code, 0, first.stderr);
  t.match(first.stdout, new RegExp(`old one: ${holder.pid} \\(bash: working directory\\)`));
  const second = await repin('--json', '@third');
  t.match(JSON.parse(second.stdout), {
    from: { tag: 'new' },
    to: { tag: 'third' },
    holders: /bash: working directory/,
  });
  const previous = async () => {
    const { stdout } = await pinfs(['status', '--json']);
    const { mounts } = JSON.parse(stdout) as {
      mounts: { mountpoint: string; status: { previous: unknown[] } }[];
    };
    return mounts.find((one) => one.mountpoint === mountpoint)?.status.previous;
  };
  t.match(await previous(), [
    { tag: 'old', holders: [{ pid: holder.pid }] },
    { tag: 'new', holders: [] },
  ]);
  t.match(
    (await pinfs(['status', '--verbose'])).stdout,
    /before .*\(old\) until .*; still used by \d+ \(bash/,
  );
  holder.stdin.write('go\n');
  const text = await new Promise<string>((resolve) => {
    let all = '';
    holder.stdout.on('data', (piece: Buffer) => (all += piece.toString()));
    holder.stdout.on('end', () => {
      resolve(all);
    });
  });
  t.equal(text, 'old\nold\nold\n9\n');
  t.ok(
    await until(async () => !/"holders":\s*\[\s*\{/.test(JSON.stringify(await previous()))),
    'and when it has gone, nobody is in it',
  );
  const log = (await here.status(mountpoint))?.status as { log?: string } | undefined;
  t.match(
    readFileSync(log?.log ?? '', 'utf8'),
    /from [0-9a-f]{40} \(old\) to [0-9a-f]{40} \(new\)/,
  );
});

t.test('what is not verified changes nothing', needs, async (t) => {
  const { here, files, server, mountpoint, repin } = await mounted(t, '@old');
  const before = await pidOf(here, mountpoint);
  const stays = async (why: string) => {
    const status = (await here.status(mountpoint))?.status;
    t.match([status?.pid, status?.verdict.tag], [before, 'old'], why);
    t.equal((await shell('cat "$1/d0/f0"', mountpoint)).stdout, 'old\n', why);
  };
  t.match(await repin('@nothing'), { code: 5, stderr: /TAG_UNKNOWN/ });
  await stays('an unknown tag');
  t.match(await repin('@'), { code: 2, stderr: /PIN_MALFORMED/ });
  t.match(await repin(server.url), { code: 2, stderr: /has no pin/ });
  t.match(await repin('http://elsewhere.example.org/x@new'), { code: 1, stderr: /REPIN_REFUSED/ });
  t.match(await pinfs(['repin', here.work, '@new']), { code: 1, stderr: /NOT_MOUNTED/ });
  const root = made.revisions[1]?.rootHash.text ?? '';
  const object = `data/${root.slice(0, 2)}/${root.slice(2)}C`;
  const sound = files.get(object) ?? Buffer.alloc(0);
  t.ok(sound.length > 0, 'the root catalog is where it is looked for');
  files.set(object, Buffer.from(sound.map((byte) => byte ^ 1)));
  t.match(await repin('@new'), { code: 5, stderr: /OBJECT_DAMAGED|OBJECT_/ });
  await stays('a damaged root catalog');
  files.set(object, sound);
  // That it came damaged is remembered for some seconds.
  let dry = await repin('--dry-run', `${server.url}@new`);
  await until(async () => {
    if (dry.code !== 0) dry = await repin('--dry-run', `${server.url}@new`);
    return dry.code === 0;
  });
  t.match(dry, { code: 0, stdout: /would be at .*tag new.*\n.*\n.*stays at .*tag old/ });
  await stays('a look');
  t.equal((await repin(`@${root}`)).code, 0, 'by its hash');
  t.equal((await shell('cat "$1/d0/f0"', mountpoint)).stdout, 'new\n');
});

t.test('a followed head can be pinned', needs, async (t) => {
  const { here, mountpoint, repin } = await mounted(t, '');
  t.equal((await shell('cat "$1/d0/f0"', mountpoint)).stdout, 'third\n');
  t.equal((await repin('@old')).code, 0);
  t.equal((await shell('cat "$1/d0/f0"; ls "$1"', mountpoint)).stdout, 'old\nd0\nd1\nd2\nonly\n');
  t.match((await here.status(mountpoint))?.status, { head: null, pinned: true });
});

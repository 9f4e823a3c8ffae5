import { randomInt } from 'node:crypto';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { directory, file, makeRepository } from '../lib/publish/write-repository.js';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { pinfs } from './cli.js';
import { pinfsAtOnce } from './in-process.js';
import { needsDriver } from './machine.js';
import { makeRandom } from './random-model.js';
import { scene, shell } from './scene.js';

// cold-kills has twenty more; `npm run soak` has two hundred in three rounds.
const kills = Number(process.env['PINFS_KILLS'] ?? '10');
const seed = Number(process.env['PINFS_SEED'] ?? String(randomInt(2 ** 31)));

const sizes = makeRandom(1);
const content = (index: number): Buffer => {
  const size = index % 50 === 0 ? 300_000 : sizes.below(40_000);
  return Buffer.alloc(size, `content of file ${index}, ${sizes.below(2 ** 31)}\n`);
};
const files = (of: number) =>
  Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`f${n}`, file(content(of * 60 + n))]));
const tree = Object.fromEntries(
  Array.from({ length: 15 }, (_, n) => [`d${n}`, directory(files(n))]),
);
const made = makeRepository({
  fqrn: 'killed.example.org',
  revisions: [{ tree, tags: { v1: '' } }],
});

void t.test(
  `killed at random moments of a cold walk, ${kills} times: nothing wrong is left behind`,
  { ...needsDriver('kernel'), timeout: 60_000 + kills * 12_000 },
  async (t) => {
    t.comment(`PINFS_SEED=${seed}`);
    const random = makeRandom(seed);
    const here = scene(t, 'kernel');
    const server = await startBadServer(made.files, made.fqrn);
    t.teardown(() => server.close());
    const key = join(here.work, 'key.pub');
    writeFileSync(key, made.masterKey);
    const source = `${server.url}@v1`;
    const all = 'cd "$1" && cat */* | sha256sum';
    const mount = (at: string, cache = 'cache') =>
      here.mount({ source, at, cache, args: ['--key', key] });
    const truth = (await shell(all, await mount('truth', 'other'))).stdout;
    for (let count = 0; count < kills; count++) {
      // From time to time all is cold again.
      if (count % 5 === 4)
        await pinfsAtOnce(['cache', 'clear', '--cache', here.directory('cache')]);
      const mountpoint = await mount(`mnt${count}`);
      const pid = (await here.status(mountpoint))?.status?.pid ?? 0;
      t.ok(pid > 1);
      const reader = spawn('tar', ['cf', join(here.work, 'out.tar'), '-C', mountpoint, '.'], {
        stdio: 'ignore',
      });
      const ended = once(reader, 'exit');
      await delay(random.below(600));
      process.kill(pid, 'SIGKILL');
      await ended;
      const { code, stdout } = await pinfs([
        'cache',
        'verify',
        '--json',
        '--cache',
        here.directory('cache'),
      ]);
      t.equal(code, 0, stdout);
    }
    t.equal((await shell(all, await mount('last'))).stdout, truth);
  },
);

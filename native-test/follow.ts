import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startBadServer } from '../lib/testing/bad-server.js';
import { file, makeRepository, nested } from '../lib/testing/repository.js';
import { needsDriver, type DriverName } from './machine.js';
import { scene, shell } from './scene.js';

const made = makeRepository({
  // The shortest that is heeded (seconds).
  ttl: 10,
  revisions: [
    {
      tree: {
        changed: file('old\n'),
        gone: file('gone\n'),
        stays: file('stays\n'),
        nested: nested({ inside: file('old\n') }),
      },
      tags: { first: '' },
    },
    {
      tree: {
        changed: file('new and longer\n'),
        added: file('added\n'),
        stays: file('stays\n'),
        nested: nested({ inside: file('new\n') }),
      },
    },
  ],
});

const showAll = 'cd "$1" && ls && cat changed nested/inside && stat -c %s changed';

/** A mounted head goes over to the next revision by itself; a tag beside it stays. */
export function follows(driver: DriverName): void {
  const options = { ...needsDriver(driver), timeout: 120_000 };
  void t.test(`${driver}: a mounted head follows`, options, (t) => followHead(t, driver));
}

async function followHead(t: Test, driver: DriverName): Promise<void> {
  const [first, second] = made.revisions;
  if (first === undefined || second === undefined) throw new Error('two revisions were made');
  const here = scene(t, driver);
  const files = new Map(made.files).set('.cvmfspublished', first.manifest);
  const server = await startBadServer(files, made.fqrn);
  t.teardown(() => server.close());
  const key = join(here.work, 'key.pub');
  writeFileSync(key, made.masterKey);
  const args = ['--key', key];
  const head = await here.mount({ source: server.url, args, at: 'head' });
  const tag = await here.mount({ source: `${server.url}@first`, args, at: 'tag' });
  const old = 'changed\ngone\nnested\nstays\nold\nold\n4\n';
  t.equal((await shell(showAll, head)).stdout, old);

  files.set('.cvmfspublished', second.manifest);
  // Somebody looks all the time, so that the kernel has the old revision in its caches.
  let text = '';
  for (let look = 0; look < 600 && !text.startsWith('added'); look++) {
    text = (await shell(`sleep 0.1; ${showAll}`, head)).stdout;
  }
  const fresh = 'added\nchanged\nnested\nstays\nnew and longer\nnew\n15\n';
  // libfuse 2 can't be told, and may keep a name or a size for a second.
  if (driver === 'fuse-native') text = (await shell(`sleep 1.5; ${showAll}`, head)).stdout;
  t.equal(text, fresh, 'names, contents and sizes are those of the new revision');
  const missing = await shell('cat "$1/gone"', head);
  t.match(missing.stderr, /No such file/);
  t.equal((await shell(showAll, tag)).stdout, old, 'a tag does not move');
  const status = (await here.status(head))?.status;
  t.equal(status?.verdict.status, 'verified');
}

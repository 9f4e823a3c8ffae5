/**
 * Follows the signed head of a repository with no mount: `node dist/examples/follow.js SOURCE KEY [SECONDS]`.
 * Looks every SECONDS (60) and prints what changed at the top of the tree; ends with SIGINT or SIGTERM.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { open, PinfsError, type Snapshot } from 'pinfs';

type Seen = ReadonlyMap<string, string>;

async function topOf(snapshot: Snapshot): Promise<Seen> {
  const entries = await snapshot.list('/');
  const shown = entries.map(
    ({ name, type, size, mtime }) => [name.toString(), `${type} ${size} ${mtime}`] as const,
  );
  return new Map(shown);
}

function printChanges(before: Seen, now: Seen): void {
  for (const name of [...new Set([...before.keys(), ...now.keys()])].sort()) {
    if (!before.has(name)) console.log(`+ ${name}`);
    else if (!now.has(name)) console.log(`- ${name}`);
    else if (before.get(name) !== now.get(name)) console.log(`~ ${name}`);
  }
}

async function follow(source: string, key: string, seconds: number): Promise<void> {
  const ended = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ended.abort());
  let before: Seen | undefined;
  let rootHash: string | undefined;
  while (!ended.signal.aborted) {
    try {
      // Opening judges the head anew; what is in the cache is not fetched again.
      const snapshot = await open({ source, keys: [key] });
      if (snapshot.rootHash !== rootHash) {
        console.log(`revision ${snapshot.revision}, ${snapshot.rootHash}`);
        const now = await topOf(snapshot);
        if (before !== undefined) printChanges(before, now);
        before = now;
        ({ rootHash } = snapshot);
      }
      await snapshot.close();
    } catch (thrown) {
      // A server that is away for a while is no reason to end; one that is refused is told each time.
      if (!(thrown instanceof PinfsError)) throw thrown;
      console.error(`${thrown.code}: ${thrown.message}`);
    }
    await wait(seconds * 1000, undefined, { signal: ended.signal }).catch(() => undefined);
  }
}

const [source, key, seconds = '60'] = process.argv.slice(2);
if (source === undefined || key === undefined || !(Number(seconds) > 0)) {
  console.error('usage: follow.js SOURCE KEY [SECONDS]');
  process.exitCode = 2;
} else {
  await follow(source, key, Number(seconds));
}

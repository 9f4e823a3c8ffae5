/**
 * What differs between two snapshots of a repository: `node dist/examples/diff.js SOURCE@PIN SOURCE@PIN KEY [PATH]`.
 * Only catalogs are fetched, and of those only what is not the same in both.
 */
import { diff, open, PinfsError } from 'pinfs';

async function printChanges(sources: [string, string], key: string, path: string): Promise<void> {
  // Ctrl-C ends what is waited for, and closes both.
  const ending = new AbortController();
  process.once('SIGINT', () => {
    ending.abort();
  });
  const [before, after] = await Promise.all(
    sources.map((source) => open({ source, keys: [key] }, { signal: ending.signal })),
  );
  if (before === undefined || after === undefined) return;
  try {
    for await (const change of diff(before, after, path)) {
      const kind = change.before === undefined ? '+' : change.after === undefined ? '-' : '~';
      console.log(`${kind} ${change.path.toString()} ${change.differences.join(',')}`.trimEnd());
    }
  } finally {
    await Promise.all([before.close(), after.close()]);
  }
}

const [before, after, key, path = '/'] = process.argv.slice(2);
if (before === undefined || after === undefined || key === undefined) {
  console.error('usage: diff.js SOURCE@PIN SOURCE@PIN KEY [PATH]');
  process.exitCode = 2;
} else {
  await printChanges([before, after], key, path).catch((thrown: unknown) => {
    if (!(thrown instanceof PinfsError)) throw thrown;
    console.error(`${thrown.code}: ${thrown.message}`);
    process.exitCode = thrown.exit;
  });
}

/**
 * Reads from a snapshot: `node dist/examples/read.js SOURCE[@PIN] KEY [PATH]`.
 * Prints why the snapshot is to be trusted, what lies in a directory, or what a file holds.
 */
import { open, PinfsError } from 'pinfs';

async function read(source: string, key: string, path: string): Promise<void> {
  const snapshot = await open({ source, keys: [key] });
  try {
    const entry = await snapshot.stat(path);
    if (entry.type === 'directory') {
      console.log(`${snapshot.repository}, revision ${snapshot.revision}, ${snapshot.rootHash}`);
      console.log(snapshot.verdict.status);
      // Names are bytes, and need not be UTF-8.
      for (const { name, type, size } of await snapshot.list(path)) {
        console.log(`${type} ${size} ${name.toString()}`);
      }
    } else {
      // In pieces, so that a file may be larger than memory.
      for await (const piece of snapshot.stream(path)) process.stdout.write(piece);
    }
  } finally {
    await snapshot.close();
  }
}

const [source, key, path = '/'] = process.argv.slice(2);
if (source === undefined || key === undefined) {
  console.error('usage: read.js SOURCE[@PIN] KEY [PATH]');
  process.exitCode = 2;
} else {
  await read(source, key, path).catch((thrown: unknown) => {
    if (!(thrown instanceof PinfsError)) throw thrown;
    // A code for programs, a message and an advice for people, an exit code for the shell.
    console.error(`${thrown.code}: ${thrown.message}`);
    if (thrown.advice !== undefined) console.error(thrown.advice);
    process.exitCode = thrown.exit;
  });
}

/**
 * Runs the test files that its arguments name (`lib/store`, `bin/cli.test.ts`), or all; prints TAP. With
 * `--through SOURCE` in front only those that name this source file, directly or through others.
 *
 * tap's own program starts each file with its loaders for TypeScript, mocks and coverage, and hands them on
 * to every process that a test starts. The tests are compiled and use none of them, and the loaders took
 * more than half of the CPU time (bench/README.md).
 */
import t from 'tap';
import { join } from 'node:path';
import { doctorText } from '../lib/testing/doctor.js';
import { checkout } from '../lib/testing/genuine.js';
import { compiled, testFiles } from './test-files.js';

// One more than the two cores that they are made for: tests wait a good part of their time, for time limits and for others.
const jobs = 3;
const fileTimeoutMs = 300_000;

function main(files: readonly string[]): void {
  t.jobs = jobs;
  t.setTimeout(0);
  const env = {
    ...process.env,
    TAP_TIMEOUT: String(fileTimeoutMs / 1000),
    ...(files.some((file) => file.startsWith('native-test/')) ? machineFacts() : {}),
  };
  // t.spawn would put a loader into NODE_OPTIONS.
  const options = `NODE_OPTIONS=${process.env['NODE_OPTIONS'] ?? ''}`;
  for (const file of files.map(compiled)) {
    const command = [options, process.execPath, '--enable-source-maps', file];
    void t.spawn('env', command, { buffered: true, timeout: fileTimeoutMs, env }, file);
  }
}

/** What the doctor says of this machine, once for all tests that mount, since it takes seconds. */
function machineFacts(): Readonly<Record<string, string>> {
  const text = doctorText(join(checkout, 'dist', 'bin', 'pinfs.js'));
  return text === '' ? {} : { PINFS_DOCTOR: text };
}

async function chosen(args: readonly string[]): Promise<string[]> {
  const [first, source, ...words] = args;
  if (first !== '--through' || source === undefined) return testFiles(args);
  const { testsThrough } = await import('./inputs.js');
  return testsThrough(testFiles(words), source);
}

process.chdir(checkout);
try {
  main(await chosen(process.argv.slice(2)));
} catch (thrown) {
  t.bailout(thrown instanceof Error ? thrown.message : String(thrown));
}

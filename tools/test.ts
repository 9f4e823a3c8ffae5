/**
 * Runs the test files that its arguments name (`lib/store`, `bin/cli.test.ts`), or all; prints TAP.
 *
 * tap's own program starts each file with its loaders for TypeScript, mocks and coverage, and hands them on
 * to every process that a test starts. The tests are compiled and use none of them, and the loaders took
 * more than half of the CPU time (bench/README.md).
 */
import t from 'tap';
import { checkout } from '../lib/testing/genuine.js';
import { compiled, testFiles } from './test-files.js';

const jobs = 2;
const fileTimeoutMs = 300_000;

function main(files: readonly string[]): void {
  t.jobs = jobs;
  t.setTimeout(0);
  const env = { ...process.env, TAP_TIMEOUT: String(fileTimeoutMs / 1000) };
  // t.spawn would put a loader into NODE_OPTIONS.
  const options = `NODE_OPTIONS=${process.env['NODE_OPTIONS'] ?? ''}`;
  for (const file of files.map(compiled)) {
    const command = [options, process.execPath, '--enable-source-maps', file];
    void t.spawn('env', command, { buffered: true, timeout: fileTimeoutMs, env }, file);
  }
}

process.chdir(checkout);
try {
  main(testFiles(process.argv.slice(2)));
} catch (thrown) {
  t.bailout(thrown instanceof Error ? thrown.message : String(thrown));
}

import { CommanderError } from 'commander';
import { reportError } from './commands/common.js';
import { flushOutput, guardOutput } from './commands/output.js';
import { makeProgram, usageError, withMountForm } from './program.js';

/** Runs the command line; errors are printed, and decide the exit code. */
export async function main(): Promise<void> {
  guardOutput();
  const args = withMountForm(process.argv.slice(2));
  const program = await makeProgram(args[0]);
  const flags = { json: args.includes('--json') };
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (thrown) {
    const error = thrown instanceof CommanderError ? usageError(thrown, args) : thrown;
    if (error !== undefined) process.exitCode = reportError(error, flags);
  }
  try {
    await flushOutput();
  } catch (thrown) {
    const code = reportError(thrown, {});
    process.exitCode ??= code;
  }
}

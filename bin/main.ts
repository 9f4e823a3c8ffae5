import { CommanderError } from 'commander';
import { reportError } from './commands/failures.js';
import { flushOutput, guardOutput } from './commands/output.js';
import { makeProgram, usageError, withHelpForm, withMountForm } from './program.js';

/** Runs a command line; errors are printed, and decide the exit code. */
export async function main(words: readonly string[] = process.argv.slice(2)): Promise<void> {
  guardOutput();
  const args = withHelpForm(withMountForm(words));
  const flags = { json: args.includes('--json') };
  try {
    const program = await makeProgram(args[0], args.includes('--help') || args.includes('-h'));
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

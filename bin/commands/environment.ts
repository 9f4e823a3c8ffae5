import { CommanderError, type Command } from 'commander';
import { PinfsError } from '../../lib/format/errors.js';
import { declarationOf, valueReaderOf } from './options.js';

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * What the environment says of options that the command line leaves out (`environment` of their rows). An empty
 * variable says nothing.
 * @throws PinfsError USAGE, naming the variable whose value the option does not take.
 */
export function applyEnvironment(command: Command, variables: Variables = process.env): void {
  for (const option of command.options) {
    const row = declarationOf(option);
    const text = row?.environment === undefined ? '' : (variables[row.environment] ?? '');
    const name = option.attributeName();
    const source = command.getOptionValueSource(name);
    if (text === '' || row?.environment === undefined) continue;
    if (source !== undefined && source !== 'default') continue;
    const texts = row.repeatable === true ? text.split(':').filter(Boolean) : [text];
    const values = texts.map((one) =>
      readAs(`the variable ${row.environment ?? ''}`, valueReaderOf(option), one),
    );
    command.setOptionValueWithSource(name, row.repeatable === true ? values : values[0], 'env');
  }
}

/** Reads a value, and says where it stands if it is none. @throws PinfsError USAGE */
export function readAs<Value>(where: string, read: (text: string) => Value, text: string): Value {
  try {
    return read(text);
  } catch (thrown) {
    if (!(thrown instanceof PinfsError || thrown instanceof CommanderError)) throw thrown;
    const advice = thrown instanceof PinfsError ? thrown.advice : undefined;
    throw new PinfsError('USAGE', `${where}: '${text}': ${thrown.message}`, {
      ...(advice === undefined ? {} : { advice }),
      cause: thrown,
    });
  }
}

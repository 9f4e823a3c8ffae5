import { once } from 'node:events';
import type { Command } from 'commander';
import { PinfsError } from '../../lib/format/errors.js';
import type { OptionValues } from '../../lib/options/option.js';
import { runAction } from './failures.js';
import { addOptions, outputOptions, type CommandOptionRows, type OutputFlags } from './options.js';
import { printJson } from './output.js';

const serveOptions = {
  port: {
    flag: '--port',
    value: 'n',
    kind: 'number',
    default: 0,
    parse: parsePort,
    help: 'port to listen on (0: any that is free)',
  },
  host: {
    flag: '--host',
    value: 'address',
    kind: 'text',
    default: '127.0.0.1',
    help: 'address to listen on',
  },
  followLinks: {
    flag: '--follow-links',
    kind: 'flag',
    help: 'serve also what symbolic links lead to outside of the directory',
  },
} as const satisfies CommandOptionRows;

type ServeFlags = OutputFlags & OptionValues<typeof serveOptions>;

export function register(program: Command): void {
  addOptions(outputOptions(program.command('serve')), serveOptions)
    .description('serve the repositories lying in a directory over HTTP, until interrupted')
    .argument('<dir>', 'directory that holds repositories, each named by its fqrn')
    .action(serveCommand);
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65535)
    throw new PinfsError('USAGE', `'${text}' is no port`);
  return port;
}

async function serveCommand(directory: string, flags: ServeFlags): Promise<void> {
  await runAction(flags, async () => {
    const { serve } = await import('../../lib/source/serve.js');
    const { port, host, followLinks = false } = flags;
    const server = await serve(directory, { port, host, followLinks });
    if (flags.json === true) printJson({ url: server.url });
    else process.stdout.write(`serving ${directory} at ${server.url}/<fqrn>; end with Ctrl-C\n`);
    await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
    await server.close();
  });
}

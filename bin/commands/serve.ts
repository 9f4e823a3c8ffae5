import { once } from 'node:events';
import type { Command } from 'commander';
import { PinfsError } from '../../lib/format/errors.js';
import { outputOptions, printJson, runAction, type OutputFlags } from './common.js';

interface ServeFlags extends OutputFlags {
  readonly port: number;
  readonly host: string;
  readonly followLinks?: boolean;
}

export function register(program: Command): void {
  outputOptions(program.command('serve'))
    .description('serve the repositories lying in a directory over HTTP, until interrupted')
    .argument('<dir>', 'directory that holds repositories, each named by its fqrn')
    .option('--port <n>', 'port to listen on (0: any that is free)', parsePort, 0)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--follow-links', 'serve also what symbolic links lead to outside of the directory')
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

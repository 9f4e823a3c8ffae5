import { once } from 'node:events';
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { fromText, printable } from '../../lib/format/bytes.js';
import { PinfsError } from '../../lib/format/errors.js';
import { isLoopback } from '../../lib/machine/loopback.js';
import type { OptionValues } from '../../lib/options/option.js';
import { runAction, warn } from './failures.js';
import { addOptions, outputOptions, type CommandOptionRows, type OutputFlags } from './options.js';
import { printJson } from './output.js';
import { parseDuration, parseSize } from './sizes.js';

/** All addresses of this machine. */
const everywhere = '0.0.0.0';

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
    usual: '127.0.0.1',
    help: 'address to listen on; one beyond loopback needs --public',
  },
  public: {
    flag: '--public',
    kind: 'flag',
    help: 'other machines may ask: listen beyond loopback (on all addresses, unless --host names one)',
  },
  rtt: {
    flag: '--rtt',
    value: 'time',
    kind: 'number',
    parse: parseDuration,
    help: 'added to each round trip, as on a long way, such as 20ms',
  },
  rate: {
    flag: '--rate',
    value: 'size',
    kind: 'number',
    parse: parseSize,
    help: 'bytes a second that go out, as on a slow line, such as 2M',
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
    .argument('<dir>', 'directory that holds repositories, or a repository itself')
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
    const { port, followLinks = false, rtt, rate } = flags;
    const server = await serve(directory, {
      port,
      host: hostOf(flags),
      followLinks,
      ...(rtt === undefined ? {} : { roundTripMs: rtt }),
      ...(rate === undefined ? {} : { bytesPerSecond: rate }),
    });
    // Who reads what is printed below may end us at once.
    const ended = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
    // Nobody can go to "all addresses"; the name of this machine is one of them.
    const url = server.url.replace(`//${everywhere}:`, `//${hostname()}:`);
    const { repositories } = server;
    const urls = repositories.map((path) => `${url}/${printable(path)}`);
    const shown = printable(fromText(directory));
    if (repositories.length === 0) {
      warn(`${shown} holds no repository: no directory in it has a .cvmfspublished (yet)`);
    }
    if (flags.json === true) printJson({ url, repositories: urls });
    else {
      for (const one of urls) process.stdout.write(`${one}\n`);
      process.stdout.write(`serving ${shown} at ${url}; end with Ctrl-C\n`);
    }
    await ended;
    await server.close();
  });
}

/** The address to listen on. @throws PinfsError USAGE: others could connect, and nobody said that they may. */
function hostOf({ host, public: isPublic = false }: ServeFlags): string {
  if (isPublic) return host ?? everywhere;
  const chosen = host ?? '127.0.0.1';
  if (chosen === 'localhost' || isLoopback(chosen)) return chosen;
  throw new PinfsError('USAGE', `--host: ${chosen} can be reached from other machines`, {
    advice: 'Take 127.0.0.1, or say --public if that is meant.',
  });
}

import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';

/* What this machine's own files say of names: hosts(5) and resolv.conf(5). */

const fileBytesMax = 1024 * 1024;

/** The text of such a file; empty where it can't be read. */
export function readNameFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').slice(0, fileBytesMax);
  } catch {
    return '';
  }
}

/** The addresses that a file of hosts gives to a name. */
export function addressesOfHosts(text: string, host: string): string[] {
  const name = host.toLowerCase();
  return linesOf(text, /#.*/).flatMap(([address = '', ...names]) =>
    isIP(address) !== 0 && names.some((one) => one.toLowerCase() === name) ? [address] : [],
  );
}

export interface ResolverFile {
  readonly servers: readonly string[];
  /** Domains in which a name without a dot is looked for first. */
  readonly domains: readonly string[];
}

/** What a resolv.conf says; of `domain` and `search` the last one counts. */
export function parseResolverFile(text: string): ResolverFile {
  const lines = linesOf(text, /[#;].*/);
  const servers = lines.flatMap(([word, server]) =>
    word === 'nameserver' && server !== undefined ? [server] : [],
  );
  const [, ...domains] = lines.findLast(([word]) => word === 'search' || word === 'domain') ?? [];
  return { servers, domains: domains.slice(0, domainsMax) };
}

// As the system's resolver (resolv.conf(5)).
const domainsMax = 6;

function linesOf(text: string, comment: RegExp): string[][] {
  return text.split('\n').map((line) =>
    line
      .replace(comment, '')
      .split(/\s+/)
      .filter((word) => word !== ''),
  );
}

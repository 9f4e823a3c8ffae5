/** `npm run docs:errors` writes docs/errors.md from the catalogue of errors (lib/format/error-codes.ts). */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { errorFacts } from '../lib/format/error-codes.js';
import type { ErrorFacts } from '../lib/format/error-words.js';
import { checkout } from '../lib/testing/genuine.js';

export const errorsDocumentPath = join(checkout, 'docs', 'errors.md');

const exits: readonly (readonly [number: number, title: string])[] = [
  [2, 'Wrong usage'],
  [3, 'Refused by trust'],
  [4, 'Not reachable'],
  [5, 'Missing or damaged'],
  [6, "Can't mount here"],
  [7, 'Offline, and `--strict` was given'],
  [1, 'Other'],
];

const introduction = `# Errors

Made from \`lib/format/error-codes.ts\` by \`npm run docs:errors\`; a test holds them together. Change the table, not this file.

Every error has a code for its cause. A command prints it in brackets behind the message, gives it as \`code\` with \`--json\`, and ends with the exit code of its section. A program that uses the library finds it in \`PinfsError.code\`. Texts may change, codes stay.

Who reads a mount sees an errno only. The code is in the log of the mount, and \`pinfs status\` counts errors by code. **errno** is what he sees where a code can reach him; where there is a dash it can't.

How an errno is decided: what a catalog shows to be damaged is EIO at once (\`lib/tree/catalog/damage.ts\`); what could not be fetched gets its errno from \`failureOf\` in \`lib/store/run.ts\`, for the kernel driver by way of \`lib/drivers/kernel/main/fetches.ts\`; who has waited for a whole deadline gets the last error of his fetch, or ETIMEDOUT (\`lib/drivers/kernel/worker/session.ts\`). A failure may be given again to the same question for a second, and longer where an object is missing everywhere (\`lib/store/fetch/failures.ts\`).
`;

const closing = `
## What is no error of pinfs

These are answers of the file system, with no code, and are not counted:

| errno | when |
| --- | --- |
| EROFS | something is to be written: every mount is read-only |
| ENOENT, ENOTDIR, EISDIR, ENAMETOOLONG, EINVAL | as POSIX says |
| ENXIO | a device, fifo or socket is opened through the file system itself |
| ENODATA, ERANGE, EOPNOTSUPP | there is no such extended attribute; the space given is too small; \`security.selinux\` is never there |
| ESTALE | the head moved, and what was open is not there any more, or is another file (README, "What differs from the catalog on a mount") |
| ENOTCONN, ECONNABORTED | the process of the mount died or was stopped by force: \`fusermount3 -uz DIR\`, and mount again |
`;

/** The text of docs/errors.md. */
export function errorsDocument(): string {
  const all = Object.entries<ErrorFacts>(errorFacts);
  const sections = exits.map(([exit, title]) => {
    const rows = all.filter(([, facts]) => facts.exit === exit).map(row);
    const head = '| code | errno | cause | what to do |\n| --- | --- | --- | --- |';
    return `\n## ${title}: exit code ${exit}\n\n${head}\n${rows.join('\n')}\n`;
  });
  return introduction + sections.join('') + closing;
}

function row([code, { errno, cause, mend }]: [string, ErrorFacts]): string {
  return `| \`${code}\` | ${errno ?? '–'} | ${cause} | ${mend} |`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync(errorsDocumentPath, errorsDocument());
}

import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import t from 'tap';
import { errorFacts } from '../lib/format/error-codes.js';
import type { ErrorFacts } from '../lib/format/error-words.js';
import { errorCodes, PinfsError } from '../lib/format/errors.js';
import { failureError } from '../lib/repository/use/path.js';
import { failureOf } from '../lib/store/run.js';
import { failure } from '../lib/store/want.js';
import { errorsDocument, errorsDocumentPath } from './errors-document.js';

void t.test('docs/errors.md is what the catalogue says', (t) => {
  const text = readFileSync(errorsDocumentPath, 'utf8');
  t.equal(text, errorsDocument(), 'npm run docs:errors writes it anew');
  for (const code of errorCodes) t.ok(text.includes(`\n| \`${code}\` |`), code);
  t.end();
});

// The words of the command line for errnos that are no error of ours.
const answers = new Set(['NOT_FOUND', 'IS_DIRECTORY', 'NOT_DIRECTORY', 'LINK_LOOP']);

void t.test('the errno of a code is the one that a reader gets', (t) => {
  const facts: Readonly<Record<string, ErrorFacts>> = errorFacts;
  for (const code of errorCodes) {
    const name = facts[code]?.errno;
    if (name === undefined) continue;
    const number = constants.errno[name];
    if (answers.has(code)) {
      t.equal(failureError(failure(number), 'a').code, code);
    } else t.equal(failureOf(new PinfsError(code, '')).errno, number, code);
  }
  t.end();
});

void t.test('what is written of a code is short, and a row of a table', (t) => {
  for (const [code, { cause, mend }] of Object.entries<ErrorFacts>(errorFacts)) {
    for (const text of [cause, mend]) {
      t.match(text, /^[^|\n]{10,190}$/, code);
      t.match(text, /\.$/, `${code} ends its sentences`);
    }
  }
  t.end();
});

#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';

// What starts a bundle, copied beside it by tools/bundle.ts: `pinfs.js` runs `pinfs.cjs`. V8 takes what it
// compiled at build time from `pinfs.cjs.code` if it is the same V8 with the same flags, and compiles anew if not.

const filename = fileURLToPath(import.meta.url).replace(/\.js$/, '.cjs');
const script = new Script(readFileSync(filename, 'latin1'), {
  filename,
  ...compiledCode(`${filename}.code`),
});
const run = script.runInThisContext() as (require: NodeJS.Require, moduleUrl: string) => void;
run(createRequire(filename), import.meta.url);

function compiledCode(path: string): { readonly cachedData?: Buffer } {
  try {
    return { cachedData: readFileSync(path) };
  } catch {
    return {};
  }
}

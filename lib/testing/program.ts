import { statSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from './genuine.js';

const dist = join(checkout, 'dist');

/** The program as it was compiled, a file for each module. */
export const compiledProgram = join(dist, 'bin', 'pinfs.js');

/** The program as it is installed, if it was bundled since the last compilation; as it was compiled if not. */
export const program = isBundled() ? join(dist, 'bundle', 'pinfs.js') : compiledProgram;

function isBundled(): boolean {
  const [compiled, bundled] = ['.tsbuildinfo', 'bundle/made'].map(
    (name) => statSync(join(dist, name), { throwIfNoEntry: false })?.mtimeMs ?? 0,
  );
  return bundled !== undefined && compiled !== undefined && bundled > compiled;
}

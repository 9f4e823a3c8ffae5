import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/*
 * Loaded before a program (`node --import`): it is killed at its change number PINFS_DIE_AT to files below
 * PINFS_DIE_BELOW, before the change or behind it; without a number it tells at its end how many there were.
 */

const below = process.env['PINFS_DIE_BELOW'] ?? '';
const at = Number(process.env['PINFS_DIE_AT'] ?? NaN);
let changes = 0;

const die = (): void => {
  process.kill(process.pid, 'SIGKILL');
};

type Change = (...args: unknown[]) => Promise<unknown>;

const calls = fs.promises as unknown as Record<string, Change>;
for (const name of ['open', 'rename', 'link', 'rm', 'mkdir']) {
  const before = calls[name];
  if (before === undefined) throw new Error(`there is no ${name}`);
  calls[name] = async (...args) => {
    const isMeant = args.some((one) => typeof one === 'string' && one.startsWith(below));
    if (!isMeant) return await before(...args);
    changes += 1;
    const isNow = changes === at;
    if (isNow && at % 2 === 0) die();
    const result = await before(...args);
    if (isNow) die();
    return result;
  };
}
syncBuiltinESMExports();
if (Number.isNaN(at)) process.on('exit', () => process.stderr.write(`changes: ${changes}\n`));

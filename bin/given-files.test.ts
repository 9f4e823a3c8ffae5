import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { fixtureKey, fixtures, script } from '../native-test/cli.js';

// A FIFO in the place of a file that an option names waits for a writer for ever.
const source = `${join(fixtures, 'analysis.example.org')}@2015-legacy`;

void t.test('what is no regular file is refused, whichever option names it', (t) => {
  const work = t.testdir({ mnt: {} });
  const mnt = join(work, 'mnt');
  const fifo = join(work, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const open = ['--cache', join(work, 'cache'), '--key', fixtureKey];
  const attest = ['--key', fixtureKey, '--cache', join(work, 'cache'), '-o', join(work, 'out')];
  const cases: Readonly<Record<string, readonly string[]>> = {
    '--key': ['info', '--cache', join(work, 'cache'), '--key', fifo, source],
    '--blacklist': ['info', ...open, '--blacklist', fifo, source],
    '--attestation': ['info', ...open, '--attestation', fifo, '--signer', fixtureKey, source],
    '--signer': ['info', ...open, '--attestation', fixtureKey, '--signer', fifo, source],
    '--signing-key': ['attest', ...attest, '--signing-key', fifo, source],
    '--log': ['mount', ...open, '--log', fifo, source, work],
    '--trace': ['mount', ...open, '--trace', fifo, '--driver', 'kernel', source, mnt],
    '--cache': ['info', '--cache', fifo, '--key', fixtureKey, source],
    source: ['info', ...open, fifo],
  };
  for (const [option, args] of Object.entries(cases)) {
    const options = { encoding: 'utf8', timeout: 60_000, killSignal: 'SIGKILL' } as const;
    const { status, signal, stderr } = spawnSync(process.execPath, [script, ...args], options);
    t.equal(signal, null, `${option} ends`);
    t.not(status, 0, `${option}: ${stderr}`);
    t.match(stderr, /\[[A-Z_]+\]/, option);
  }
  t.end();
});

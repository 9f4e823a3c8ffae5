import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { readGiven } from '../../lib/files/given.js';
import { PinfsError } from '../../lib/format/errors.js';
import { fileError } from '../../lib/format/file-fault.js';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import { runAction, warn } from './failures.js';
import { holding } from './in-storage.js';
import {
  addOptions,
  outputOptions,
  sourceArgument,
  sourceOptions,
  type OutputFlags,
  type SourceFlags,
} from './options.js';
import { printJson } from './output.js';
import { withRepository } from './with-repository.js';

const keyOptions = {
  output: {
    flag: '--output',
    short: '-o',
    value: 'file',
    kind: 'path',
    required: true,
    help: 'file for the secret key',
    manual: 'File for the secret key; nothing is overwritten.',
  },
} as const satisfies OptionRows;

const attestOptions = {
  signingKey: {
    flag: '--signing-key',
    value: 'file',
    kind: 'path',
    help: 'secret Ed25519 key, made by `pinfs key generate`; nothing is signed without it',
  },
  /** What `--key` was called here while that was the key that signs. */
  masterKey: {
    flag: '--master-key',
    value: 'file|dir',
    kind: 'path',
    repeatable: true,
    hidden: true,
    help: 'is --key now',
  },
  output: {
    ...keyOptions.output,
    help: 'file to write the attestation to',
    manual: 'File to write the attestation to; nothing is overwritten.',
  },
  register: {
    flag: '--register',
    value: 'storage',
    kind: 'text',
    help: "also add it to the storage's own list of what `pinfs repo gc` keeps",
    manual:
      'The storage of the repository (a directory, or s3://bucket/prefix): the root hash is added to its own list, ' +
      '`.pinfs/kept`, so that `pinfs repo gc` keeps the snapshot whatever becomes of its tags.',
  },
} as const satisfies OptionRows;

type AttestFlags = SourceFlags & OptionValues<typeof attestOptions>;

type KeyFlags = OutputFlags & OptionValues<typeof keyOptions>;

const keyBytesMax = 64 * 1024;

export function register(program: Command): void {
  addOptions(sourceOptions(program.command('attest')), attestOptions)
    .description('sign what a snapshot is: repository, root hash, revision, tag and time')
    .argument('<source@pin>', sourceArgument)
    .action(attest);
  const key = program.command('key').description('keys for attestations');
  addOptions(outputOptions(key.command('generate')), keyOptions)
    .description('make an Ed25519 key pair: FILE (mode 0600) and FILE.pub')
    .action(generate);
}

/**
 * The keys under their names of now. Until 0.2 the one that signs was `--key`, and the master keys were `--master-key`:
 * that is taken with a warning for one version.
 * @throws PinfsError USAGE
 */
function withKeys(flags: AttestFlags): AttestFlags & { readonly signingKey: string } {
  const { masterKey: old = [], keys = [], signingKey } = flags;
  if (signingKey !== undefined) {
    if (old.length > 0) warn('--master-key is called --key now, and goes with the next version');
    return { ...flags, keys: [...keys, ...old], signingKey };
  }
  const [secret, ...others] = keys;
  const isOld = secret !== undefined && others.length === 0 && (old.length > 0 || isSecret(secret));
  if (!isOld) {
    throw new PinfsError('USAGE', 'no key is given to sign with', {
      advice: 'Give it with --signing-key FILE; `pinfs key generate -o FILE` makes one.',
    });
  }
  warn(
    'the key that signs is called --signing-key now, and the master key --key',
    `The old names go with the next version: --signing-key ${secret}${old.map((one) => ` --key ${one}`).join('')}`,
  );
  return { ...flags, keys: old, signingKey: secret };
}

function isSecret(path: string): boolean {
  try {
    return readGiven(path, keyBytesMax).includes('PRIVATE KEY');
  } catch {
    return false;
  }
}

async function attest(source: string, given: AttestFlags): Promise<void> {
  await runAction(given, () => attestWith(source, withKeys(given)));
}

async function attestWith(source: string, flags: ReturnType<typeof withKeys>): Promise<void> {
  await withRepository(source, flags, async (repository) => {
    const { makeAttestation, readSecretKey } = await import('../../lib/trust/attest/attest.js');
    const { attestationOf } = await import('../../lib/repository/open/attested.js');
    const secret = readSecretKey(
      local('read', 'the key', flags.signingKey, () => readGiven(flags.signingKey, keyBytesMax)),
      flags.signingKey,
    );
    const attestation = await attestationOf(repository, new Date());
    const envelope = makeAttestation(attestation, secret);
    if (flags.register !== undefined) await keepInStorage(flags.register, attestation.rootHash);
    local('write', 'the attestation', flags.output, () => {
      writeFileSync(flags.output, envelope, { flag: 'wx' });
    });
    if (flags.json === true) printJson({ attestation: flags.output, ...attestation });
    else
      process.stdout.write(`${flags.output}: ${attestation.repository} ${attestation.rootHash}\n`);
  });
}

/** First, so that nothing is attested that may go. */
async function keepInStorage(place: string, rootHash: string): Promise<void> {
  const { parseHash } = await import('../../lib/format/hash.js');
  const { keepRoot } = await import('../../lib/publish/storage/own-notes.js');
  const hash = parseHash(rootHash);
  if (hash === undefined) throw new PinfsError('INTERNAL', 'no root hash was attested');
  const why = `attested ${new Date().toISOString().slice(0, 10)}`;
  await holding(place, 'write', (storage) => keepRoot(storage, hash, why));
}

/** Something done with a file that was named. @throws PinfsError USAGE */
function local<T>(doing: 'read' | 'write', what: string, file: string, body: () => T): T {
  try {
    return body();
  } catch (cause) {
    throw fileError('USAGE', doing, what, file, cause);
  }
}

async function generate(flags: KeyFlags): Promise<void> {
  await runAction(flags, async () => {
    const { generateKeyPair, writeKeyPair } = await import('../../lib/trust/attest/attest.js');
    const pair = generateKeyPair();
    writeKeyPair(flags.output, pair);
    const written = { secret: flags.output, public: `${flags.output}.pub` };
    if (flags.json === true) printJson(written);
    else process.stdout.write(`secret key ${written.secret}, public key ${written.public}\n`);
  });
}

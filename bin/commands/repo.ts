import { writeFileSync } from 'node:fs';
import { Argument, type Command } from 'commander';
import { fileFault } from '../../lib/format/file-fault.js';
import { PinfsError } from '../../lib/format/errors.js';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import { inStorage, type StorageFlags } from './in-storage.js';
import { runAction } from './failures.js';
import { addOptions, outputOptions, type CommandOptionRows, type OutputFlags } from './options.js';
import { printJson } from './output.js';
import { registerChecks } from './repo-check.js';
import { registerMirror } from './repo-mirror.js';
import { registerTags } from './repo-tag.js';
import { masterKeyOption, signingKeyOption, storageOptions } from './repo-options.js';

const daysOption = {
  days: {
    flag: '--days',
    value: 'n',
    kind: 'number',
    parse: parseDays,
    default: 30,
    help: 'how long the whitelist counts',
    manual: 'For how many days the whitelist counts; `pinfs repo resign` makes a new one in time.',
  },
} as const satisfies CommandOptionRows;

const createOptions = {
  hash: {
    flag: '--hash',
    value: 'algorithm',
    kind: 'choice',
    choices: ['sha1', 'rmd160', 'shake128'],
    default: 'sha1',
    help: 'hash of its objects',
  },
  collectable: {
    flag: '--collectable',
    kind: 'flag',
    help: 'tell replicas that old revisions may vanish',
    manual:
      'Write into the manifest that revisions without a tag may vanish (`pinfs repo gc`), so that replicas of other software do not insist on them.',
  },
} as const satisfies OptionRows;

const exportOptions = {
  output: {
    flag: '--output',
    short: '-o',
    value: 'file',
    kind: 'path',
    help: 'file to write it to, in place of standard output',
    manual: 'File to write it to, in place of standard output; nothing is overwritten.',
  },
} as const satisfies OptionRows;

type MasterFlags = OptionValues<typeof masterKeyOption>;
type SigningFlags = OptionValues<typeof signingKeyOption>;
type DaysFlags = OptionValues<typeof daysOption>;
type CreateFlags = StorageFlags &
  MasterFlags &
  SigningFlags &
  DaysFlags &
  OptionValues<typeof createOptions>;
type ResignFlags = StorageFlags & MasterFlags & DaysFlags;
type ExportFlags = OutputFlags & MasterFlags & OptionValues<typeof exportOptions>;

const nameArgument = 'fully qualified name of the repository, such as demo.example.org';

export function register(program: Command): void {
  const repo = program.command('repo').description('repositories: made, signed, checked, copied');
  const command = (name: string): Command =>
    addOptions(outputOptions(repo.command(name)), storageOptions).argument('<fqrn>', nameArgument);
  addOptions(command('create'), {
    ...signingKeyOption,
    ...masterKeyOption,
    ...daysOption,
    ...createOptions,
  })
    .description('make a repository with an empty tree, and its keys where there are none')
    .action(create);
  addOptions(command('resign'), { ...masterKeyOption, ...daysOption })
    .description('sign the whitelist anew, before it expires')
    .action(resignCommand);
  addOptions(command('rotate-key'), { ...signingKeyOption, ...masterKeyOption, ...daysOption })
    .description('make a new key for revisions, and sign the newest one with it')
    .action(rotate);
  command('info').description('tell what a storage says of its repository').action(info);
  registerChecks(command);
  registerMirror(repo);
  registerTags(repo);
  addOptions(outputOptions(repo.command('key')), { ...masterKeyOption, ...exportOptions })
    .description('give the public master key, which readers need')
    // The description of commands, for shells and manual, has two words at most.
    .addArgument(new Argument('<action>', 'what to do with it').choices(['export']))
    .argument('<fqrn>', nameArgument)
    .action((_: string, fqrn: string, flags: ExportFlags) => exportKey(fqrn, flags));
}

/** @throws PinfsError USAGE */
function parseDays(text: string): number {
  if (/^[1-9][0-9]{0,3}$/.test(text)) return Number(text);
  throw new PinfsError('USAGE', '--days is a number from 1 to 9999');
}

async function keyFiles(fqrn: string, flags: MasterFlags & SigningFlags) {
  const { keyFilesOf } = await import('../../lib/publish/repository/keys.js');
  return keyFilesOf(fqrn, flags, process.env);
}

async function create(fqrn: string, flags: CreateFlags): Promise<void> {
  await inStorage(flags, 'write', async (storage) => {
    const keys = await import('../../lib/publish/repository/keys.js');
    const { createRepository, refuseExisting } =
      await import('../../lib/publish/repository/create.js');
    const { makeObjectWriter } = await import('../../lib/publish/objects/writer.js');
    const files = keys.keyFilesOf(fqrn, flags, process.env);
    await refuseExisting(storage);
    const master = await keys.secretKeyAt(files.master, masterKeyOption.masterSigningKey.flag);
    const signing = await keys.secretKeyAt(files.signing, signingKeyOption.signingKey.flag);
    const wrotePublic = keys.writePublicKey(files.public, master.key);
    const { hash: algorithm, days, collectable = false } = flags;
    const writer = makeObjectWriter(storage, { algorithm, compression: 'zlib', threads: 1 });
    const rootHash = await createRepository({
      fqrn,
      storage,
      writer,
      algorithm,
      signingKey: signing.key,
      masterKey: master.key,
      now: new Date(),
      days,
      collectable,
    }).finally(() => writer.close());
    const made = { fqrn, storage: storage.name, rootHash: rootHash.text };
    if (flags.json === true) {
      printJson({ ...made, keys: files });
      return;
    }
    const verb = (isNew: boolean): string => (isNew ? 'made' : 'was there');
    process.stdout.write(
      `${fqrn} in ${storage.name}: revision 0, ${rootHash.text}\n` +
        `secret master key ${files.master} (${verb(master.made)}): keep it safe, best on a disk that is put away\n` +
        `secret signing key ${files.signing} (${verb(signing.made)})\n` +
        `public master key ${files.public} (${verb(wrotePublic)}): give it to readers\n` +
        `The whitelist counts for ${days} days: pinfs repo resign ${fqrn} signs it anew.\n`,
    );
  });
}

async function resignCommand(fqrn: string, flags: ResignFlags): Promise<void> {
  await inStorage(flags, 'write', async (storage) => {
    const { readSecretRsaKey } = await import('../../lib/publish/repository/keys.js');
    const { resign } = await import('../../lib/publish/repository/maintain.js');
    const files = await keyFiles(fqrn, flags);
    const masterKey = readSecretRsaKey(files.master, masterKeyOption.masterSigningKey.flag);
    const { days } = flags;
    const expires = await resign({ fqrn, storage, masterKey, now: new Date(), days });
    if (flags.json === true) printJson({ fqrn, expires: expires.toISOString() });
    else
      process.stdout.write(`${fqrn}: whitelist until ${expires.toISOString().slice(0, 13)}:00Z\n`);
  });
}

async function rotate(fqrn: string, flags: ResignFlags & SigningFlags): Promise<void> {
  await inStorage(flags, 'write', async (storage) => {
    const { readSecretRsaKey } = await import('../../lib/publish/repository/keys.js');
    const { rotateKey } = await import('../../lib/publish/repository/maintain.js');
    const { fingerprintOf } = await import('../../lib/format/certificate.js');
    const { fingerprintText } = await import('../../lib/format/whitelist.js');
    const { makeObjectWriter } = await import('../../lib/publish/objects/writer.js');
    const files = await keyFiles(fqrn, flags);
    const masterKey = readSecretRsaKey(files.master, masterKeyOption.masterSigningKey.flag);
    const { days } = flags;
    const writer = makeObjectWriter(storage, {
      algorithm: 'sha1',
      compression: 'zlib',
      threads: 1,
    });
    const keyFile = files.signing;
    const now = new Date();
    const certificate = await rotateKey({
      fqrn,
      storage,
      writer,
      masterKey,
      now,
      days,
      keyFile,
    }).finally(() => writer.close());
    const fingerprint = fingerprintText(fingerprintOf(certificate, 'sha1'));
    if (flags.json === true) printJson({ fqrn, signingKey: keyFile, fingerprint });
    else {
      process.stdout.write(
        `${fqrn}: signed by ${fingerprint}\nsecret signing key ${keyFile}; the one before: ${keyFile}.old\n` +
          `The one before counts until: pinfs repo resign ${fqrn}\n`,
      );
    }
  });
}

async function info(fqrn: string, flags: StorageFlags): Promise<void> {
  await inStorage(flags, 'read', async (storage) => {
    const { repositoryInfo } = await import('../../lib/publish/repository/info.js');
    const facts = await repositoryInfo(storage, fqrn, new Date());
    if (flags.json === true) {
      printJson(facts);
      return;
    }
    const { certificate, whitelist } = facts;
    const lines = {
      repository: `${facts.fqrn} in ${facts.storage}`,
      revision: `${facts.revision}, published ${facts.published}`,
      'root hash': facts.rootHash,
      tags: String(facts.tags),
      collectable: facts.collectable ? 'yes' : 'no',
      certificate: `${certificate.fingerprint}, ${certificate.bits} bits${certificate.listed ? '' : ', not on the whitelist'}`,
      whitelist: `until ${whitelist.expires}${whitelist.expired ? ': expired, run pinfs repo resign' : ''}`,
    };
    for (const [name, value] of Object.entries(lines)) {
      process.stdout.write(`${`${name}:`.padEnd(13)}${value}\n`);
    }
  });
}

async function exportKey(fqrn: string, flags: ExportFlags): Promise<void> {
  await runAction(flags, async () => {
    const { publicMasterKey } = await import('../../lib/publish/repository/keys.js');
    const pem = publicMasterKey(await keyFiles(fqrn, flags));
    const { output } = flags;
    if (output !== undefined) {
      try {
        writeFileSync(output, pem, { flag: 'wx' });
      } catch (cause) {
        const text = `can't write the key ${output}: ${fileFault(cause, 'write').why}`;
        throw new PinfsError('USAGE', text, { cause });
      }
    }
    if (flags.json === true) printJson({ fqrn, key: pem, output: output ?? null });
    else if (output === undefined) process.stdout.write(pem);
  });
}

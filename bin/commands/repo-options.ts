import type { OptionRows } from '../../lib/options/option.js';

/** Options of commands that work on a repository in a storage. */
export const storageOptions = {
  storage: {
    flag: '--storage',
    value: 'storage',
    kind: 'text',
    required: true,
    help: 'where the repository lies: a directory, or s3://bucket/prefix',
  },
} as const satisfies OptionRows;

export const signingKeyOption = {
  signingKey: {
    flag: '--signing-key',
    value: 'file',
    kind: 'path',
    help: 'secret key that signs revisions',
    manual:
      'Secret RSA key that signs revisions (PEM); without it `FQRN.key` in `$XDG_CONFIG_HOME/pinfs/keys`.',
  },
} as const satisfies OptionRows;

export const masterKeyOption = {
  masterSigningKey: {
    flag: '--master-signing-key',
    value: 'file',
    kind: 'path',
    help: 'secret master key, which signs the whitelist',
    manual:
      'Secret RSA master key (PEM), which signs the whitelist and is needed for nothing else; without it `FQRN.masterkey` in `$XDG_CONFIG_HOME/pinfs/keys`. It may lie on a disk that is put away.',
  },
} as const satisfies OptionRows;

import { parameters, type Handling, type Parameter } from '../lib/configuration/parameters.js';
import { madeBy } from './command-line.js';

const introduction = `# Configuration of a site

<!-- ${madeBy} -->

What becomes of the parameters of CernVM-FS where SOURCE is the name of a repository (README, "A site's configuration"). \`pinfs config show FQRN\` shows them for a repository of yours. Change \`lib/configuration/parameters.ts\`, not this file.

The files are read in this order, a later value wins (DIR is \`/etc/cvmfs\` or \`--config DIR\`, REPO the config repository, DOMAIN the name without its first label):

1. \`DIR/default.conf\`, then \`DIR/default.d/*.conf\`; from here on CVMFS_CONFIG_REPOSITORY is fixed
2. \`REPO/etc/cvmfs/default.conf\`
3. \`DIR/default.local\`
4. \`REPO/etc/cvmfs/domain.d/DOMAIN.conf\`, then \`DIR/domain.d/DOMAIN.conf\` and \`.local\`
5. \`REPO/etc/cvmfs/config.d/FQRN.conf\`, then \`DIR/config.d/FQRN.conf\` and \`.local\`

What \`--set\` gives is there from the beginning, and no file changes it. A name is known if a line begins with it and a \`=\` (\`export\` and \`readonly\` may stand before it), as with the reference. \`config=\` in fstab and \`--config\` take files with colons between them as well: then these are read and nothing else. The config repository is opened like any other, with the servers and keys that the local files name for it, and its files and keys are read from that snapshot. Where it can't be had, it is read as another client has it mounted (in \`CVMFS_MOUNT_DIR\`, if that is root's or yours), with a warning; where it is not there either the local files count alone, which is an error with \`CVMFS_CONFIG_REPO_REQUIRED=yes\`.

A file may have 1 MiB, a value 64 KiB, a configuration 256 files; commands nest 50 deep, files 10.
`;

const words: Readonly<Record<Handling, string>> = {
  honoured: 'honoured',
  otherwise: 'in another way',
  unsupported: 'not supported',
  inside: 'for the files themselves',
};

/** The text of docs/configuration.md. */
export function configurationDocument(): string {
  const section = (title: string, uses: readonly Parameter['use'][]): string => {
    const rows = parameters.filter(({ use }) => uses.includes(use)).map(row);
    const head = '| parameter | is | how, or why not |\n| --- | --- | --- |';
    return `\n## ${title}\n\n${head}\n${rows.join('\n')}\n`;
  };
  return (
    introduction +
    section('For every reader', ['reader', 'environment']) +
    section('For mounts', ['mount']) +
    '\nParameters of servers are named as such and have no effect.\n'
  );
}

function row({ name, handling, note }: Parameter): string {
  return `| \`${name}\` | ${words[handling]} | ${note} |`;
}

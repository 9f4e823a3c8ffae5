import type { OptionRow } from '../options/option.js';
import { settingRows } from './settings.js';

/** A config.toml in which everything is a comment yet. */
export function settingsTemplate(): string {
  return [
    '# Settings of pinfs. The command line and the variables PINFS_* count more than what stands here;',
    '# /etc/pinfs/config.toml, of the same form, counts less. Relative paths begin at this file.',
    '',
    ...[...settingRows].flatMap(([name, row]) => [
      `# ${row.help}${row.otherwise === undefined ? '' : ` (default: ${row.otherwise})`}`,
      `# ${name} = ${exampleOf(row)}`,
      '',
    ]),
    '# A word for a source, as in: pinfs ls atlas@2015 /',
    '# [sources.atlas]',
    '# source = "http://server.example.org/cvmfs/atlas.example.org"',
    '# key = "atlas.example.org.pub"',
    '',
    '# What pinfs mount --all mounts, by one process',
    '# [mounts]',
    '# "~/atlas" = "atlas@2015"',
    '',
  ].join('\n');
}

function exampleOf({ kind, repeatable, choices, value = '' }: OptionRow): string {
  if (kind === 'size') return '"4G"';
  const text = choices === undefined ? value.split('|')[0] : choices[0];
  const one = JSON.stringify(String(text));
  return repeatable === true ? `[${one}]` : one;
}

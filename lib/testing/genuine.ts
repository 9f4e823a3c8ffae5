import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the checkout (compiled tests lie in `<out>/lib/testing`). */
export const checkout = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

/** Where the genuine repositories lie: beside the checkout, or where PINFS_GENUINE says. */
export const genuineDirectory =
  process.env['PINFS_GENUINE'] ?? join(checkout, '..', 'shared', 'genuine');

/** Whether the genuine repositories are there; where they are not, lists of their cases are empty, and the tests say why. */
export const hasGenuine = existsSync(join(genuineDirectory, 'README.md'));

/** `{ skip: reason }` for a tap test that needs the genuine repositories, `{}` where they are there. */
export const needsGenuine: { skip?: string } = hasGenuine
  ? {}
  : { skip: 'the genuine repositories (../shared/genuine) are not beside this checkout' };

export function genuine(...path: string[]): string {
  return join(genuineDirectory, ...path);
}

/** One line of an expected/*.jsonl file: what the reference client shows of a path. */
export interface ExpectedEntry {
  path?: string;
  path_b64?: string;
  type: string;
  mode: string;
  uid: number;
  gid: number;
  size: number;
  nlink: number;
  mtime: number;
  mtime_ns?: number;
  sha256?: string;
  rdev?: [number, number];
  target?: string;
  target_b64?: string;
  raw_target?: string;
  raw_target_b64?: string;
  hardlink_group?: string;
  hardlink_group_b64?: string;
  xattrs?: Record<string, string>;
  hidden?: boolean;
  bind_mountpoint?: boolean;
  nested_catalog?: boolean;
  external?: boolean;
  chunked?: boolean;
}

export function readExpected(...path: string[]): ExpectedEntry[] {
  return readFileSync(genuine(...path), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ExpectedEntry);
}

/** The bytes of a field that stands either as text or, when it is not UTF-8, as base64. */
export function expectedBytes(
  text: string | undefined,
  base64: string | undefined,
): Buffer | undefined {
  if (base64 !== undefined) return Buffer.from(base64, 'base64');
  return text === undefined ? undefined : Buffer.from(text, 'utf8');
}

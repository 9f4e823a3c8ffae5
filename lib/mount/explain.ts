import { lstatSync, readlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fromText, printable, type ByteString } from '../format/bytes.js';
import { asPinfsError, PinfsError } from '../format/errors.js';
import { decoder, type Decoder } from '../format/schema.js';
import { mountType, textOf, type MountLine } from '../machine/mountinfo.js';
import type { OpenOptions } from '../repository/open/options.js';
import type { Explanation } from '../repository/use/explain.js';
import { askControl, findRecords, type FoundMount } from './control/control.js';

/** A path below a mount, explained. */
export interface ExplainedBelow extends Explanation {
  readonly mountpoint: string;
  /** `silent`, `dead`: the process of the mount said nothing; its snapshot was looked up in the cache. */
  readonly process: 'answered' | 'silent' | 'dead';
}

/** A mountpoint, and a path below it as the mount knows it. */
export interface PlaceBelow {
  readonly mountpoint: string;
  readonly path: string;
}

// As many as Linux follows (path_resolution(7)).
const linksMax = 40;

/**
 * Under which of the mountpoints a path lies, without touching any of them: symbolic links are followed before the first
 * mountpoint only. undefined: under none.
 */
export function placeBelow(
  path: string,
  mountpoints: ReadonlySet<string>,
  linkAt: (path: string) => string | undefined = readLink,
): PlaceBelow | undefined {
  const rest = resolve(path)
    .split('/')
    .filter((name) => name !== '');
  let at = '/';
  let links = 0;
  for (;;) {
    if (mountpoints.has(at))
      return { mountpoint: at, path: rest.map((name) => `/${name}`).join('') };
    const name = rest.shift();
    if (name === undefined) return undefined;
    const next = join(at, name);
    // One that is a mountpoint is not looked at.
    const target = mountpoints.has(next) ? undefined : linkAt(next);
    if (target === undefined) {
      at = next;
      continue;
    }
    if (++links > linksMax) return undefined;
    const whole = resolve(dirname(next), target);
    rest.unshift(...whole.split('/').filter((part) => part !== ''));
    at = '/';
  }
}

function readLink(path: string): string | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
      ? readlinkSync(path)
      : undefined;
  } catch {
    return undefined;
  }
}

export interface ExplainParts {
  /** Runtime directories to look into. */
  readonly directories: readonly string[];
  readonly mounts: readonly MountLine[];
  /** Milliseconds that the process of the mount has for its answer. */
  readonly timeoutMs: number;
  /** Explains a path of a snapshot from the cache. */
  readonly fromCache: (
    options: Pick<OpenOptions, 'source' | 'cache' | 'offline'>,
    path: ByteString,
  ) => Promise<Explanation>;
}

/**
 * Explains a path below a mount, and never touches the mount: its process is asked through its control socket; where it
 * does not answer, the snapshot is opened from the cache.
 * @throws PinfsError NOT_MOUNTED, and what opening the snapshot throws
 */
export async function explainBelow(path: string, parts: ExplainParts): Promise<ExplainedBelow> {
  const records = findRecords(parts.directories).filter(({ detached }) => !detached);
  const lines = parts.mounts.filter(({ type }) => type === mountType);
  const mountpoints = new Set([
    ...records.map(({ record }) => record.mountpoint),
    ...lines.map(({ mountpoint }) => textOf(mountpoint)),
  ]);
  const place = placeBelow(path, mountpoints);
  const found = records.find(({ record }) => record.mountpoint === place?.mountpoint);
  if (place === undefined || found === undefined) {
    throw new PinfsError('NOT_MOUNTED', `${shown(path)} lies below no pinfs mount of this user`, {
      advice: "'pinfs status' lists the mounts; of a snapshot: pinfs explain SOURCE@PIN PATH.",
    });
  }
  const bytes = fromText(place.path);
  const answer = await askMount(found, bytes, parts.timeoutMs);
  const { mountpoint } = place;
  if (answer.kind === 'answered') return { ...answer.explanation, mountpoint, process: 'answered' };
  const { source, cache } = found.record;
  const options = { source, offline: true, ...(cache === undefined ? {} : { cache }) };
  const explanation = await parts.fromCache(options, bytes);
  return { ...explanation, mountpoint, process: answer.kind };
}

type MountAnswer =
  | { readonly kind: 'answered'; readonly explanation: Explanation }
  | { readonly kind: 'silent' | 'dead' };

async function askMount(
  { socket }: FoundMount,
  path: ByteString,
  timeoutMs: number,
): Promise<MountAnswer> {
  try {
    const answer = await askControl(socket, { command: 'explain', path }, timeoutMs);
    if (answer.kind !== 'answer') return { kind: answer.kind };
    const explanation = readExplanation(answer.value);
    return explanation === undefined ? { kind: 'silent' } : { kind: 'answered', explanation };
  } catch (thrown) {
    const error = asPinfsError(thrown);
    // One of another version, that does not understand.
    if (error.code === 'USAGE' || error.code === 'MOUNT_BUSY') return { kind: 'silent' };
    throw error;
  }
}

const readExplanation: Decoder<Explanation> = decoder((v) => {
  const count = v.pipe(v.number(), v.minValue(0));
  const outcome = v.variant('state', [
    v.object({ state: v.literal('fetching'), since: v.string() }),
    v.object({
      state: v.literal('failed'),
      at: v.string(),
      code: v.string(),
      message: v.string(),
    }),
  ]);
  return v.object({
    repository: v.string(),
    rootHash: v.string(),
    path: v.string(),
    type: v.nullable(v.string()),
    size: v.nullable(count),
    objects: v.array(
      v.object({
        role: v.picklist(['catalog', 'object', 'chunk']),
        path: v.string(),
        object: v.string(),
        bytes: count,
        here: v.boolean(),
        outcome: v.nullable(outcome),
        way: v.nullable(v.string()),
      }),
    ),
    unlisted: count,
    absent: v.object({ objects: count, bytes: count }),
    problem: v.nullable(v.object({ code: v.string(), message: v.string() })),
    verdict: v.picklist(['here', 'slow', 'fails', 'unknown']),
    summary: v.string(),
  });
});

function shown(path: string): string {
  return printable(fromText(path));
}

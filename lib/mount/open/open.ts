import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import { fromText, printable } from '../../format/bytes.js';
import { mountHealth } from '../../machine/stale-mounts.js';
import type { Variables } from '../../machine/places.js';
import type { Environment } from '../../repository/open/environment.js';
import type { OpenOptions } from '../../repository/open/options.js';
import { splitSourcePin } from '../../source/source-pin.js';
import type { Verdict } from '../../trust/verdict/verdict.js';
import { askControl, findRecords, type FoundMount } from '../control/control.js';
import { runtimeDirectories } from '../control/runtime.js';
import { optionDigests, shownSource, withAbsolutePaths, type MountSpec } from '../mount-spec.js';
import type { MountOptions } from '../options.js';
import { mountInBackground } from '../process/daemon.js';
import type { MountStatus } from '../session/status.js';
import { readStatus } from '../session/status-json.js';
import { makeIn, makeOpenedDirectory, namesFor, openedDirectories } from './place.js';

/** `pinfs open`: a snapshot has one place, whoever asks for it again. */

export interface Opened {
  readonly mountpoint: string;
  /** It was mounted before. */
  readonly wasThere: boolean;
  readonly status: MountStatus;
}

export interface OpenParts {
  readonly environment: Environment;
  readonly variables: Variables;
  readonly uid: number;
}

// As long as another process is mounting the same, or is about to end it (ms).
const busyMs = 20_000;
const lookMs = 100;

/**
 * Gives the place where a snapshot is mounted, and mounts it if it is not.
 * @throws PinfsError what opening and mounting throw; MOUNT_BUSY: it is there, and shows other things
 */
export async function openAtPlace(
  options: OpenOptions,
  mount: Omit<MountOptions, 'mountpoint'>,
  parts: OpenParts,
): Promise<Opened> {
  const spec = withAbsolutePaths({ options, mount: { ...mount, mountpoint: '/' } });
  const known = (await openedMounts(parts.variables)).find((one) => isSameText(one, spec));
  const there = known && (await stillThere(known, spec));
  if (there !== undefined) return there;
  const asked = await lookUp(spec.options, parts.environment);
  const until = Date.now() + busyMs;
  for (;;) {
    const found = (await openedMounts(parts.variables)).find((one) => isSame(one, asked, spec));
    const opened = found && (await stillThere(found, spec));
    if (opened !== undefined) return opened;
    try {
      return await mountAt(await freePlace(asked, parts), spec);
    } catch (thrown) {
      if (asPinfsError(thrown).code !== 'MOUNT_BUSY' || Date.now() > until) throw thrown;
      await wait(lookMs);
    }
  }
}

/** What it is that is asked for. */
interface Asked {
  readonly fqrn: string;
  readonly pinned: boolean;
  readonly verdict: Verdict;
}

async function lookUp(options: OpenOptions, environment: Environment): Promise<Asked> {
  const { openRepository } = await import('../../repository/open.js');
  const repository = await openRepository(options, environment);
  try {
    const { fqrn, pinned, verdict } = repository;
    return { fqrn, pinned, verdict };
  } finally {
    await repository.close();
  }
}

interface OpenedMount {
  readonly found: FoundMount;
  readonly status: MountStatus;
}

/** Those that answer, and have their place. */
async function openedMounts(variables: Variables): Promise<readonly OpenedMount[]> {
  const places = openedDirectories(variables);
  const records = findRecords(runtimeDirectories()).filter(
    ({ record, detached }) => !detached && places.includes(dirname(record.mountpoint)),
  );
  const asked = await Promise.all(records.map((found) => statusOf(found)));
  return asked.filter((one) => one !== undefined);
}

const statusTimeoutMs = 5000;

async function statusOf(found: FoundMount): Promise<OpenedMount | undefined> {
  const answer = await askControl(found.socket, { command: 'status' }, statusTimeoutMs).catch(
    () => ({ kind: 'silent' }) as const,
  );
  const status = answer.kind === 'answer' ? readStatus(answer.value) : undefined;
  return status?.state === 'running' ? { found, status } : undefined;
}

/** The same words: then nobody has to be asked what they mean. What can come to mean another snapshot is looked up. */
function isSameText({ found, status }: OpenedMount, { options }: MountSpec): boolean {
  const { pin } = splitSourcePin(options.source);
  const { verdict, pinned } = status;
  if (options.attestation !== undefined || found.record.source !== shownSource(options.source))
    return false;
  if (options.strict === true && verdict.status === 'offline') return false;
  return pin === undefined ? !pinned : pin === verdict.rootHash || pin === verdict.tag;
}

function isSame(
  { found, status }: OpenedMount,
  { fqrn, pinned, verdict }: Asked,
  { options }: MountSpec,
): boolean {
  if (status.repository !== fqrn || status.pinned !== pinned) return false;
  if (pinned) return status.verdict.rootHash === verdict.rootHash;
  return found.record.source === shownSource(options.source);
}

// What is not the same for each reader of one snapshot.
const tellingOptions = ['variables', 'inodes', 'shown', 'noXattrs'];

/** Asks the mount itself, which counts as use. @throws PinfsError MOUNT_BUSY */
async function stillThere(
  { found: { record }, status }: OpenedMount,
  spec: MountSpec,
): Promise<Opened | undefined> {
  const { mountpoint, digests = {} } = record;
  const asked = optionDigests(spec);
  const other = tellingOptions.filter((name) => asked[name] !== digests[name]);
  if (other.length > 0) {
    const path = printable(fromText(mountpoint));
    throw new PinfsError(
      'MOUNT_BUSY',
      `${path} is this snapshot with another ${other.join(', ')}`,
      {
        advice: `End it first: pinfs umount ${path}`,
      },
    );
  }
  if ((await mountHealth(mountpoint)) !== 'alive') return undefined;
  return { mountpoint, wasThere: true, status };
}

/** A directory in which nothing is mounted that lives. @throws PinfsError MOUNTPOINT_UNUSABLE, MOUNT_BUSY */
async function freePlace(
  { fqrn, pinned, verdict }: Asked,
  { variables, uid }: OpenParts,
): Promise<string> {
  const base = makeOpenedDirectory(variables, uid);
  const taken = new Set(
    (await openedMounts(variables)).map(({ found }) => found.record.mountpoint),
  );
  const names = namesFor(fqrn, verdict, pinned);
  const path = names.map((name) => join(base, name)).find((one) => !taken.has(one));
  if (path !== undefined) return path;
  throw new PinfsError('MOUNT_BUSY', `other snapshots have the names ${names.join(', ')}`, {
    advice: "See 'pinfs status'.",
  });
}

async function mountAt(mountpoint: string, spec: MountSpec): Promise<Opened> {
  makeIn(mountpoint, 'See whether its place can be written.');
  const mount = { ...spec.mount, mountpoint, ownPlace: true };
  const status = readStatus(await mountInBackground(spec.options, mount));
  if (status !== undefined) return { mountpoint, wasThere: false, status };
  throw new PinfsError('INTERNAL', 'the process of the mount gave a status that is none');
}

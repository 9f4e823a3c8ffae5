import { mountType, textOf, type MountLine } from '../machine/mountinfo.js';
import { askControl, findRecords, removeRecord, type FoundMount } from './control/control.js';
import type { MountHealth } from '../machine/stale-mounts.js';
import { decoder } from '../format/schema.js';
import type { MountStatus } from './session/status.js';
import { readStatus } from './session/status-json.js';

/** One mount of this user, as `pinfs status` shows it. */
export interface ListedMount {
  readonly mountpoint: string;
  /**
   * `stale`: its process is dead. `silent`: its process lives and does not answer.
   * `other`: somebody serves it, with no control socket that we can reach.
   */
  readonly state: 'starting' | 'running' | 'detached' | 'stopping' | 'stale' | 'silent' | 'other';
  readonly pid: number | null;
  readonly since: string | null;
  readonly source: string | null;
  /** Null when the process gave none, or is of a version that we can't read. */
  readonly status: MountStatus | null;
}

export interface ListParts {
  /** Runtime directories to look into. */
  readonly directories: readonly string[];
  readonly mounts: readonly MountLine[];
  readonly uid: number;
  /** Which are asked for; all if left out. */
  readonly wanted?: ((mountpoint: string) => boolean) | undefined;
  readonly health: (mountpoint: string) => Promise<MountHealth>;
  /** Milliseconds that a process has for its answer. */
  readonly timeoutMs: number;
}

/** All mounts of this user (root: of everyone), also those whose process is dead. Clears dead records away. */
export async function listMounts(parts: ListParts): Promise<readonly ListedMount[]> {
  const mounted = parts.mounts
    .filter((line) => line.type === mountType)
    .map(({ mountpoint }) => textOf(mountpoint));
  const recorded: ListedMount[] = [];
  const { wanted = () => true } = parts;
  for (const found of findRecords(parts.directories)) {
    if (!wanted(found.record.mountpoint)) continue;
    const listed = await listRecord(found, mounted.includes(found.record.mountpoint), parts);
    if (listed !== undefined) recorded.push(listed);
  }
  const known = new Set(recorded.map((mount) => mount.mountpoint));
  const rest = parts.mounts.filter(
    (line) =>
      line.type === mountType &&
      wanted(textOf(line.mountpoint)) &&
      !known.has(textOf(line.mountpoint)) &&
      isOf(line, parts.uid),
  );
  const unrecorded = await Promise.all(
    rest.map((line) => listLine(textOf(line.mountpoint), parts)),
  );
  return [...recorded, ...unrecorded].sort((a, b) => (a.mountpoint < b.mountpoint ? -1 : 1));
}

async function listRecord(
  found: FoundMount,
  isMounted: boolean,
  parts: ListParts,
): Promise<ListedMount | undefined> {
  const { mountpoint, pid, since, source } = found.record;
  const facts = { mountpoint, pid, since, source };
  const answer = await askControl(found.socket, { command: 'status' }, parts.timeoutMs).catch(
    () => ({ kind: 'silent' }) as const,
  );
  switch (answer.kind) {
    case 'answer':
      return { ...facts, ...readAnswer(answer.value) };
    case 'silent':
      return { ...facts, state: 'silent', status: null };
    case 'dead':
      if (isMounted) return { ...facts, state: 'stale', status: null };
      removeRecord(found);
      return undefined;
  }
}

// A state that only another version knows is one in which the process lives.
const stateOf = decoder((v) =>
  v.object({
    state: v.pipe(
      v.unknown(),
      v.fallback(v.picklist(['starting', 'running', 'detached', 'stopping']), 'running'),
    ),
  }),
);

function readAnswer(value: unknown): Pick<ListedMount, 'state' | 'status'> {
  const answer = stateOf(value);
  if (answer === undefined) return { state: 'silent', status: null };
  return { state: answer.state, status: readStatus(value) ?? null };
}

async function listLine(mountpoint: string, parts: ListParts): Promise<ListedMount> {
  const health = await parts.health(mountpoint);
  const state = health === 'stale' ? 'stale' : health === 'hung' ? 'silent' : 'other';
  return { mountpoint, state, pid: null, since: null, source: null, status: null };
}

/** The kernel writes who mounted it among the options (`user_id=1000`). */
export function isOf(line: MountLine, uid: number): boolean {
  return uid === 0 || line.superOptions.includes(`user_id=${uid}`);
}

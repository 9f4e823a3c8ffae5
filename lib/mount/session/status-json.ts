import { decoder, type SchemaLibrary } from '../../format/schema.js';
import { noValue, countSchema, foreignVerdictSchema } from '../../trust/verdict/verdict-schema.js';
import { statusVersion, type MountStatus } from './status.js';

/*
 * The status that another process gave. It may be of another version of pinfs: what it says more is left out, and
 * what 0.1.0 does not say yet is filled in.
 */

/** undefined: it is none, or of a version that means something else by it. */
export function readStatus(value: unknown): MountStatus | undefined {
  return statusOf(value);
}

const statusOf = decoder((v) => {
  const count = countSchema(v);
  const counts = v.record(v.string(), count);
  const text = v.nullable(v.string());
  return v.object({
    version: v.literal(statusVersion),
    state: v.picklist(['running', 'detached', 'stopping']),
    mountpoint: v.string(),
    place: v.exactOptional(text),
    source: v.string(),
    repository: v.string(),
    pid: count,
    since: v.string(),
    driver: v.string(),
    device: v.optional(text, null),
    pinned: v.boolean(),
    verdict: foreignVerdictSchema(v),
    store: storeSchema(v),
    traffic: v.object({
      requests: count,
      bytes: count,
      failures: count,
      changes: v.exactOptional(count),
      way: v.exactOptional(v.string()),
      damaged: v.exactOptional(counts),
      ways: v.exactOptional(v.array(waySchema(v))),
    }),
    requests: counts,
    errors: counts,
    notCarried: count,
    latencies: v.optional(v.record(v.string(), latencySchema(v)), {}),
    latencyClasses: v.exactOptional(
      v.record(v.string(), v.pipe(v.array(v.tuple([count, count])), v.maxLength(256))),
    ),
    layers: v.exactOptional(v.record(v.string(), v.pipe(v.number(), v.minValue(0)))),
    ahead: v.optional(
      v.nullable(v.object({ asked: count, askedBytes: count, used: count, usedBytes: count })),
      null,
    ),
    profile: v.exactOptional(v.nullable(profileSchema(v))),
    tree: v.object({
      catalogsOpened: count,
      catalogsOpen: count,
      directoriesLoaded: count,
      rowsRefused: count,
    }),
    inodes: v.exactOptional(inodesSchema(v)),
    head: v.nullable(headSchema(v)),
    previous: v.exactOptional(v.array(previousSchema(v))),
    rss: count,
    log: text,
    recording: v.exactOptional(v.nullable(recordingSchema(v))),
  });
});

/** Of an answer to `record` as well. */
export function recordingSchema(v: SchemaLibrary) {
  const count = countSchema(v);
  return v.object({
    file: v.string(),
    since: v.string(),
    accesses: count,
    bytes: count,
    failure: v.nullable(v.string()),
  });
}

function profileSchema(v: SchemaLibrary) {
  const count = countSchema(v);
  return v.object({
    uses: count,
    asked: count,
    askedBytes: count,
    used: count,
    usedBytes: count,
    overtaken: count,
    absent: count,
    changed: count,
    strayed: count,
    stopped: count,
  });
}

function waySchema(v: SchemaLibrary) {
  const count = countSchema(v);
  return v.object({
    mirror: v.string(),
    proxy: v.string(),
    requests: count,
    bytes: count,
    errors: v.record(v.string(), count),
    firstBytes: v.array(count),
    firstByteMs: v.pipe(v.number(), v.minValue(0)),
  });
}

function storeSchema(v: SchemaLibrary) {
  const count = countSchema(v);
  return v.object({
    hits: count,
    misses: count,
    catalogHits: v.optional(count, 0),
    catalogMisses: v.optional(count, 0),
    stored: count,
    evicted: count,
    bytes: count,
    limit: count,
    rebuilt: v.optional(count, 0),
    notStored: v.optional(
      v.object({
        since: v.string(),
        reason: v.string(),
        advice: v.optional(v.string(), noValue),
        directory: v.optional(v.string(), noValue),
        objects: count,
      }),
      noValue,
    ),
    failures: v.record(v.string(), count),
    lastFailure: v.optional(
      v.object({ code: v.string(), message: v.string(), path: v.string(), time: v.string() }),
      noValue,
    ),
    hitRate: v.nullable(v.number()),
    directory: v.string(),
    catalogBytes: v.exactOptional(count),
  });
}

function latencySchema(v: SchemaLibrary) {
  return v.object({
    count: v.number(),
    p50: v.number(),
    p90: v.number(),
    p99: v.number(),
    max: v.number(),
  });
}

function inodesSchema(v: SchemaLibrary) {
  const count = countSchema(v);
  return v.object({
    bits: v.picklist([32, 63]),
    given: v.nullable(
      v.object({ seen: count, moved: count, kept: v.boolean(), whole: v.boolean() }),
    ),
  });
}

function previousSchema(v: SchemaLibrary) {
  const count = countSchema(v);
  return v.object({
    generation: count,
    rootHash: v.string(),
    tag: v.nullable(v.string()),
    revision: v.nullable(count),
    until: v.string(),
  });
}

function headSchema(v: SchemaLibrary) {
  const text = v.nullable(v.string());
  return v.object({
    lastCheck: text,
    nextCheck: text,
    lastProblem: v.nullable(v.object({ code: v.string(), message: v.string() })),
  });
}

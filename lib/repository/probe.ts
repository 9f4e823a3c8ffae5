import { asPinfsError, type ErrorCode } from '../format/errors.js';
import { objectPath } from '../format/hash.js';
import { parseManifest, type Manifest } from '../format/manifest.js';
import { parseWhitelist } from '../format/whitelist.js';
import { isoTime } from '../format/time.js';
import type { ServerOrder } from '../source/order/server-order.js';
import type { Source } from '../source/source.js';
import { sizeLimits } from '../store/want.js';
import { processEnvironment, type Environment } from './open/environment.js';
import { gatherEvidence } from './open/evidence.js';
import { judgeEvidence } from './open/head.js';
import { prepare, type Opening } from './open/opening.js';
import type { OpenOptions } from './open/options.js';

/** What one server answers through one proxy, or directly. */
export interface ProbedWay {
  /** From 1, in the order of preference. */
  readonly place: number;
  /** Without credentials. */
  readonly mirror: string;
  /** What it was asked through; DIRECT: nothing. */
  readonly proxy: string;
  readonly answers: boolean;
  /** Of the manifest, signed or not; null: none was read. */
  readonly revision: number | null;
  /** When the manifest was signed, ISO 8601 UTC. */
  readonly published: string | null;
  /** ISO 8601 UTC. */
  readonly whitelistExpires: string | null;
  /** Seconds since the whitelist was made; null where it does not say. */
  readonly whitelistAge: number | null;
  /** Milliseconds to the answer to a small request over a connection that was there; null: none. */
  readonly milliseconds: number | null;
  /** Of its root catalog, from the request to the last byte; null: it has no valid head, or did not give that. */
  readonly bytesPerSecond: number | null;
  /** What is wrong with its head, or why there is none; null: it is valid. */
  readonly error: { readonly code: ErrorCode; readonly message: string } | null;
}

export interface ProbeReport {
  readonly repository: string;
  /** In which order its servers are asked, and why; null: there is one. */
  readonly order: ServerOrder | null;
  /** The newest revision of a valid head; null: there is none. */
  readonly newest: number | null;
  readonly ways: readonly ProbedWay[];
}

/** How far probing has come. */
export interface ProbeProgress {
  readonly done: number;
  readonly ways: number;
  /** The ways that were asked and have not answered. */
  readonly waiting: readonly string[];
}

const atOnceMax = 8;
// In the label of a way.
const throughWord = ' through ';

/**
 * Asks each mirror through each proxy for its head, once, and judges it.
 * @throws PinfsError as `openRepository` does for wrong usage and this machine.
 */
export async function probeSource(
  options: OpenOptions,
  environment: Environment = processEnvironment,
  told: (progress: ProbeProgress) => void = () => undefined,
): Promise<ProbeReport> {
  const network = { ...environment.network, retries: 0 };
  const { variables, now } = environment;
  const opening = await prepare(options, { variables, now, network });
  try {
    const order = (await opening.source.arranged?.()) ?? null;
    const ways = opening.source.ways ?? [opening.source];
    const probed: ProbedWay[] = [];
    let [next, done] = [0, 0];
    const asked = new Set<Source>();
    const tell = (): void =>
      told({ done, ways: ways.length, waiting: [...asked].map(({ label }) => label) });
    const worker = async (): Promise<void> => {
      for (let at = next++; at < ways.length; at = next++) {
        const way = ways[at];
        if (way === undefined) continue;
        asked.add(way);
        tell();
        probed[at] = { place: at + 1, ...(await probeWay(opening, way)) };
        asked.delete(way);
        done += 1;
        tell();
      }
    };
    await Promise.all(Array.from({ length: atOnceMax }, worker));
    const valid = probed.filter(({ error }) => error === null);
    const newest = Math.max(-1, ...valid.map(({ revision }) => revision ?? -1));
    return { repository: opening.fqrn, order, newest: newest < 0 ? null : newest, ways: probed };
  } finally {
    await opening.close();
  }
}

async function probeWay(opening: Opening, asked: Source): Promise<Omit<ProbedWay, 'place'>> {
  const { alternatives, signal, store } = opening;
  const places = { asked, source: asked, store };
  const evidence = await gatherEvidence(places, alternatives, signal, []);
  const { failure } = judgeEvidence(opening, evidence, false);
  const manifest = Buffer.isBuffer(evidence.manifest)
    ? parseManifest(evidence.manifest)
    : undefined;
  const read = manifest === undefined || manifest instanceof Error ? undefined : manifest;
  const whitelist = Buffer.isBuffer(evidence.whitelist)
    ? parseWhitelist(evidence.whitelist)
    : undefined;
  const listed = whitelist === undefined || whitelist instanceof Error ? undefined : whitelist;
  const answers = Buffer.isBuffer(evidence.manifest) || Buffer.isBuffer(evidence.whitelist);
  const [mirror = '', proxy = 'DIRECT'] = asked.label.split(throughWord);
  const created = listed?.created === undefined ? NaN : Date.parse(listed.created);
  const age = Math.round((opening.environment.now().getTime() - created) / 1000);
  return {
    mirror,
    proxy,
    answers,
    revision: read?.revision ?? null,
    published: read === undefined ? null : isoTime(read.published),
    whitelistExpires: listed?.expires ?? null,
    whitelistAge: Number.isNaN(age) ? null : age,
    milliseconds: answers ? await answerTime(asked, signal) : null,
    bytesPerSecond:
      failure === undefined && read !== undefined ? await throughput(asked, read, signal) : null,
    error: failure === undefined ? null : { code: failure.code, message: failure.message },
  };
}

// Of a root catalog that is larger nothing is told (bytes).
const measuredBytesMax = 25 * 1024 * 1024;

async function throughput(
  asked: Source,
  { rootHash }: Manifest,
  signal: AbortSignal,
): Promise<number | null> {
  const path = objectPath({ hash: rootHash, kind: 'catalog' });
  const began = performance.now();
  try {
    const { length } = await asked.get(path, measuredBytesMax, { signal });
    return Math.round((length * 1000) / Math.max(1, performance.now() - began));
  } catch (thrown) {
    // What is wrong with an object is another question than who answers.
    asPinfsError(thrown);
    return null;
  }
}

async function answerTime(asked: Source, signal: AbortSignal): Promise<number | null> {
  const began = performance.now();
  try {
    await asked.get('.cvmfspublished', sizeLimits.manifest, { signal });
    return Math.round((performance.now() - began) * 10) / 10;
  } catch (thrown) {
    // It answered before.
    asPinfsError(thrown);
    return null;
  }
}

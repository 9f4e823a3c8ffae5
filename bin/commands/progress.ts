import { printableJson, printableText } from '../../lib/format/bytes.js';
import type { Traffic } from '../../lib/source/source.js';
import { progressing } from './look.js';
import { durationText, openPace } from './pace.js';
import { formatSize } from './sizes.js';

/** Progress of something that can take longer than a second; silent unless stderr is a terminal, or JSON is asked for. */
export interface Progress {
  /** @param bytes of content, where they are counted. */
  update(count: number, detail: string, bytes?: number): void;
  stop(): void;
}

/** What more is known of a work. */
export interface WorkFacts {
  /** Bytes of content that it has, where somebody counted them. */
  readonly bytes?: number | undefined;
  /** Whom it waits for while nothing comes. */
  readonly source?: { readonly label: string; readonly traffic: Traffic };
  /** It says at its end how it went. */
  readonly saysEnd?: true;
}

const silent: Progress = { update: () => undefined, stop: () => undefined };

const firstMs = 1000;
/** As long as nothing came from a source, it is waited for. */
const silenceMs = 2000;

/** `verb` says what is counted; `total` is left out where nobody knows it. */
export function startProgress(
  verb: string,
  total: number | undefined,
  facts: WorkFacts = {},
): Progress {
  const how = progressing();
  if (how === 'none') return silent;
  const started = Date.now();
  const pace = openPace(facts.bytes, () => performance.now());
  const waited = whomItWaitsFor(facts.source);
  const last = { count: 0, detail: '', bytes: 0, counted: false };
  const bar = how === 'json' ? undefined : openBar(verb, total);
  const show = (): void => {
    if (Date.now() - started < firstMs) return;
    pace.add(last.bytes);
    const whom = waited();
    if (bar === undefined) {
      const { rate, left } = pace.now();
      tellJson({
        ...{ progress: verb, done: last.count, total: total ?? null },
        ...{ bytes: last.counted ? last.bytes : null, totalBytes: facts.bytes ?? null },
        ...{ bytesPerSecond: rate ?? null, secondsLeft: left ?? null },
        waitingFor: whom ?? null,
      });
    } else {
      const wait = whom === undefined ? '' : `waiting for ${whom}, `;
      bar.show(last.count, `${wait}${last.counted ? pace.text() : ''}${last.detail}`);
    }
  };
  const timer = setInterval(show, 1000);
  timer.unref();
  return {
    update(count, detail, bytes) {
      Object.assign(last, { count, detail, bytes: bytes ?? 0, counted: bytes !== undefined });
      if (bytes !== undefined && pace.add(bytes)) bar?.refresh(show);
    },
    stop() {
      clearInterval(timer);
      bar?.stop();
      const seconds = (Date.now() - started) / 1000;
      if (bar?.isShown() === true && facts.saysEnd === true)
        process.stderr.write(`${endLine(verb, last, seconds)}\n`);
    },
  };
}

function endLine(
  verb: string,
  { count, bytes, counted }: { count: number; bytes: number; counted: boolean },
  seconds: number,
): string {
  const amount = counted ? `, ${formatSize(bytes)} (${formatSize(bytes / seconds)}/s)` : '';
  return `${verb} ${count}${amount} in ${durationText(Math.ceil(seconds))}`;
}

function tellJson(value: object): void {
  process.stderr.write(`${printableJson(value)}\n`);
}

/** Gives the source once it has been silent for a while. */
function whomItWaitsFor(source: WorkFacts['source']): () => string | undefined {
  if (source === undefined) return () => undefined;
  const { label, traffic } = source;
  let [bytes, at] = [traffic.bytes, Date.now()];
  return () => {
    if (traffic.bytes !== bytes) [bytes, at] = [traffic.bytes, Date.now()];
    return Date.now() - at >= silenceMs ? printableText(label) : undefined;
  };
}

interface Bar {
  show(count: number, detail: string): void;
  /** Shows it again, if it stands there. */
  refresh(show: () => void): void;
  isShown(): boolean;
  stop(): void;
}

function openBar(verb: string, total: number | undefined): Bar {
  let bar: import('cli-progress').SingleBar | undefined;
  let [loading, stopped, last] = [false, false, { count: 0, detail: '' }];
  const format =
    total === undefined ? `${verb} {value}  {detail}` : `${verb} {bar} {value}/{total}  {detail}`;
  return {
    show(count, detail) {
      last = { count, detail };
      if (bar !== undefined) bar.update(count, { detail });
      else if (!loading) {
        loading = true;
        void import('cli-progress').then((module) => {
          // A bar that nobody stops keeps the process alive.
          if (stopped) return;
          bar = new module.default.SingleBar({
            format,
            stream: process.stderr,
            clearOnComplete: true,
            // What it goes before has to fit into 80 columns as well.
            barsize: 10,
            // Else Ctrl-C leaves a terminal that does not wrap lines.
            linewrap: true,
          });
          bar.start(total ?? 0, last.count, { detail: last.detail });
        });
      }
    },
    refresh: (show) => {
      if (bar !== undefined) show();
    },
    isShown: () => bar !== undefined,
    stop() {
      stopped = true;
      bar?.stop();
    },
  };
}

/** Runs something with a progress, which ends with it in any case. */
export async function withProgress<T>(
  verb: string,
  total: number | undefined,
  body: (progress: Progress) => Promise<T>,
  facts: WorkFacts = {},
): Promise<T> {
  const progress = startProgress(verb, total, facts);
  try {
    return await body(progress);
  } finally {
    progress.stop();
  }
}

/** Counts the seconds of something that says nothing of itself. @returns how to end it. */
export function startWaiting(verb: string, whom?: string): () => void {
  const progress = startProgress(verb, undefined);
  let seconds = 0;
  const detail = whom === undefined ? 's' : `s, waiting for ${printableText(whom)}`;
  const timer = setInterval(() => {
    seconds += 1;
    progress.update(seconds, detail);
  }, 1000);
  timer.unref();
  return () => {
    clearInterval(timer);
    progress.stop();
  };
}

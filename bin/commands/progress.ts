/** Progress of something that can take longer than a second; silent unless stderr is a terminal. */
export interface Progress {
  update(count: number, detail: string): void;
  stop(): void;
}

const silent: Progress = { update: () => undefined, stop: () => undefined };

/** `verb` says what is counted; `total` is left out where nobody knows it. */
function startProgress(verb: string, total: number | undefined): Progress {
  if (!process.stderr.isTTY) return silent;
  const started = Date.now();
  let bar: import('cli-progress').SingleBar | undefined;
  let loading = false;
  let stopped = false;
  let last = 0;
  const format =
    total === undefined ? `${verb} {value}  {detail}` : `${verb} {bar} {value}/{total}  {detail}`;
  return {
    update(count, detail) {
      last = count;
      if (bar !== undefined) bar.update(count, { detail });
      else if (!loading && Date.now() - started >= 1000) {
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
          bar.start(total ?? 0, last, { detail });
        });
      }
    },
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
): Promise<T> {
  const progress = startProgress(verb, total);
  try {
    return await body(progress);
  } finally {
    progress.stop();
  }
}

/** Counts the seconds of something that says nothing of itself. @returns how to end it. */
export function startWaiting(verb: string): () => void {
  const progress = startProgress(verb, undefined);
  let seconds = 0;
  const timer = setInterval(() => {
    seconds += 1;
    progress.update(seconds, 's');
  }, 1000);
  timer.unref();
  return () => {
    clearInterval(timer);
    progress.stop();
  };
}

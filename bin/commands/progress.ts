/** Progress of something that can take longer than a second; silent unless stderr is a terminal. */
export interface Progress {
  update(count: number, detail: string): void;
  stop(): void;
}

const silent: Progress = { update: () => undefined, stop: () => undefined };

/** `verb` says what is counted; `total` is left out where nobody knows it. */
export function startProgress(verb: string, total: number | undefined): Progress {
  if (!process.stderr.isTTY) return silent;
  const started = Date.now();
  let bar: import('cli-progress').SingleBar | undefined;
  let loading = false;
  let last = 0;
  const format =
    total === undefined ? `${verb} {value}  {detail}` : `${verb} {bar} {value}/{total}  {detail}`;
  return {
    update(count, detail) {
      last = count;
      if (bar !== undefined) bar.update(count, { detail });
      else if (!loading && Date.now() - started > 1000) {
        loading = true;
        void import('cli-progress').then((module) => {
          bar = new module.default.SingleBar({
            format,
            stream: process.stderr,
            clearOnComplete: true,
          });
          bar.start(total ?? 0, last, { detail });
        });
      }
    },
    stop() {
      bar?.stop();
    },
  };
}

const signals = ['SIGINT', 'SIGTERM'] as const;

export interface Interrupted {
  /** What is said: how far it has come, and how it goes on. */
  readonly told: () => string;
  /** Cleans up; at once, since nothing runs after it. */
  readonly abandon?: (() => void) | undefined;
}

/** Runs something that Ctrl-C may end: it is said how far that came, and the process ends by the signal. */
export async function withInterrupt<T>(how: Interrupted, body: () => Promise<T>): Promise<T> {
  const end = (signal: NodeJS.Signals): void => {
    stop();
    how.abandon?.();
    process.stderr.write(`\npinfs: interrupted: ${how.told()}\n`);
    process.kill(process.pid, signal);
  };
  const stop = (): void => {
    for (const signal of signals) process.removeListener(signal, end);
  };
  for (const signal of signals) process.on(signal, end);
  try {
    return await body();
  } finally {
    stop();
  }
}

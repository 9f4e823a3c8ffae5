import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Operation, Result } from './random-client.js';
import { helper } from './scene.js';

/** A process that makes the operations it is given. */
export interface Player {
  /** One result for each. @throws what hung, after half a minute. */
  play(operations: readonly Operation[]): Promise<Result[]>;
  /** Ends it, whatever it is doing. */
  close(): Promise<void>;
}

const timeoutMs = 30_000;

export function startPlayer(mountpoint: string): Player {
  const child = spawn(process.execPath, [helper('random-client'), mountpoint], {
    cwd: '/',
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  child.stdin.on('error', () => undefined);
  let heard: (line: string | undefined) => void = () => undefined;
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => heard(line));
  lines.on('close', () => heard(undefined));
  return {
    async play(operations) {
      const results: Result[] = [];
      return await new Promise((resolve, reject) => {
        const stuck = (why: string) => {
          clearTimeout(timer);
          reject(new Error(`${why} at ${JSON.stringify(operations[results.length])}`));
        };
        const timer = setTimeout(() => stuck('nothing came back'), timeoutMs);
        heard = (line) => {
          if (line === undefined) {
            stuck('the client ended');
            return;
          }
          results.push(JSON.parse(line) as Result);
          if (results.length < operations.length) return;
          clearTimeout(timer);
          resolve(results);
        };
        for (const operation of operations) child.stdin.write(`${JSON.stringify(operation)}\n`);
      });
    },
    async close() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';

export interface FullListener {
  readonly port: number;
  readonly close: () => void;
}

/**
 * A port of loopback at which no connection is made any more, nor refused: a process listens there and was stopped,
 * and once its queue is full the kernel drops what comes.
 */
export async function startFullListener(): Promise<FullListener> {
  const script = `const s = require('node:net').createServer();
    s.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(s.address().port));`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  child.kill('SIGSTOP');
  const port = Number(line.toString());
  const fill = Array.from({ length: 8 }, () => connect(port, '127.0.0.1'));
  for (const socket of fill) socket.on('error', () => undefined);
  await once(fill[0] ?? child, 'connect');
  return {
    port,
    close() {
      for (const socket of fill) socket.destroy();
      child.kill('SIGKILL');
    },
  };
}

import { execFile, execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import t from 'tap';
import { startBadServer } from '../../testing/servers/bad-server.js';

void t.test('undici is loaded with the first request, and little of it', (t) => {
  const module = JSON.stringify(new URL('../open.js', import.meta.url).href);
  const script = `
    import { createRequire } from 'node:module';
    const { openSource } = await import(${module});
    const { cache } = createRequire(import.meta.url);
    const loaded = () => Object.keys(cache).filter((path) => /undici/.test(path)).length;
    const source = openSource('http://127.0.0.1:1/x', { retries: 0 });
    const before = loaded();
    await source.get('file', 1).catch(() => undefined);
    await source.close();
    console.log(JSON.stringify([before, loaded()]));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script]);
  const [before, after] = JSON.parse(output.toString()) as [number, number];
  t.equal(before, 0);
  t.ok(after > 0 && after < 60, `${after} modules`);
  t.end();
});

void t.test('the whole package has the same class, for versions without that file', (t) => {
  const require = createRequire(import.meta.url);
  const { Pool } = require('undici') as { Pool: unknown };
  t.equal(require('undici/lib/dispatcher/pool.js'), Pool);
  t.end();
});

void t.test('a parser that finds no address space is not the network', async (t) => {
  const server = await startBadServer(new Map([['file', Buffer.from('x')]]));
  t.teardown(() => server.close());
  const module = JSON.stringify(new URL('../open.js', import.meta.url).href);
  const script = `
    const { openSource } = await import(${module});
    const source = openSource(${JSON.stringify(server.url)});
    const error = await source.get('file', 1).catch((thrown) => thrown);
    console.log(JSON.stringify([error.code, error.message, error.advice]));
    await source.close();`;
  const command = 'ulimit -v 4000000; exec "$0" --input-type=module -e "$1"';
  const { stdout } = await promisify(execFile)('sh', ['-c', command, process.execPath, script]);
  const [code, message, advice] = JSON.parse(stdout) as string[];
  t.equal(code, 'MEMORY_LIMITED');
  t.match(message, /memory/);
  t.match(advice, /NODE_OPTIONS=--disable-wasm-trap-handler/);
});

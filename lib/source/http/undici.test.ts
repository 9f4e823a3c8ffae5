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

// Room for Node itself, and none for what V8 of Node 20 and 22 reserves for WebAssembly; that of 24 does without.
const limited = 'ulimit -v 4000000; exec "$0" --input-type=module -e "$1"';

/** Whether this Node makes a parser of WebAssembly there. */
function parserHasRoom(): boolean {
  const script = 'new WebAssembly.Memory({ initial: 1 })';
  try {
    execFileSync('sh', ['-c', limited, process.execPath, script], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

void t.test('a parser that finds no address space is not the network', async (t) => {
  const server = await startBadServer(new Map([['file', Buffer.from('x')]]));
  t.teardown(() => server.close());
  const module = JSON.stringify(new URL('../open.js', import.meta.url).href);
  const script = `
    const { openSource } = await import(${module});
    const source = openSource(${JSON.stringify(server.url)});
    const answer = await source.get('file', 1).catch((thrown) => thrown);
    const { code, message, advice } = answer;
    console.log(JSON.stringify(answer instanceof Error ? [code, message, advice] : ['here']));
    await source.close();`;
  const { stdout } = await promisify(execFile)('sh', ['-c', limited, process.execPath, script]);
  const [code, message, advice] = JSON.parse(stdout) as string[];
  if (parserHasRoom()) {
    t.equal(code, 'here');
    return;
  }
  t.equal(code, 'MEMORY_LIMITED');
  t.match(message, /memory/);
  t.match(advice, /NODE_OPTIONS=--disable-wasm-trap-handler/);
});

import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import t from 'tap';

void t.test('undici is loaded with the first request, and little of it', (t) => {
  const module = JSON.stringify(new URL('./open.js', import.meta.url).href);
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

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { checkout } from '../lib/testing/genuine.js';
import { recordingOf, recordingPath } from './recording.js';

/** Ends that have a beginning, and no bare sign: what a reader of XML asks of such a file. */
function isWellFormed(svg: string): boolean {
  const open: string[] = [];
  const rest = svg.replaceAll(/<(\/?)(\w+)((?:\s[\w:-]+="[^"<&]*")*)\s*(\/?)>/g, (...found) => {
    const [, closes, name, , alone] = found as unknown as string[];
    if (closes === '/') return open.pop() === name ? '' : '<';
    if (alone !== '/') open.push(name ?? '');
    return '';
  });
  return open.length === 0 && !/[<>]|&(?!(amp|lt|gt);)/.test(rest);
}

void t.test('what a terminal shows is text of an SVG, with its colours', async (t) => {
  const svg = await recordingOf('a <b> & "c"\r\n\x1b[32mgood\x1b[0m plain\r\n\r\ngone\rdone\r\n');
  t.ok(isWellFormed(svg));
  t.notOk(isWellFormed(svg.replace('&lt;', '<')), 'it can be seen');
  t.match(svg, />a &lt;b&gt; &amp; "c"</);
  t.match(svg, /<tspan fill="#23d18b">good<\/tspan> plain</);
  t.match(svg, />done</);
  t.notMatch(svg, /gone/);
});

void t.test('the recording in docs has the commands of the demo', (t) => {
  const svg = readFileSync(recordingPath, 'utf8');
  t.ok(isWellFormed(svg));
  const recorded = [...svg.matchAll(/\$ pinfs (\w+)/g)].map(([, word]) => word);
  const demo = readFileSync(join(checkout, 'native-test', 'demo.ts'), 'utf8');
  const typed = [...demo.matchAll(/(?:run\(scene, |words = |shown\()\[\s*'(\w+)'/g)];
  const commands = new Set(typed.map(([, word]) => word));
  t.ok(commands.size >= 4, [...commands].join());
  for (const one of commands) t.ok(recorded.includes(one), `${one}: npm run recording`);
  t.notMatch(svg, /\/work\/|\/home\//, 'nothing of the machine that made it');
  t.end();
});

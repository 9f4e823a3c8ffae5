import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { benchResultText } from '../lib/laboratory/results/bench-result.js';
import { measuredResult, measuredTrace } from '../lib/testing/fakes/measured.js';
import { pinfsInProcess } from './in-process.js';

// The page of a report, looked at in a browser that no one sees.

const browserPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) =>
  existsSync(path),
);
const needsBrowser = browserPath === undefined ? { skip: 'there is no Chromium' } : {};

async function makePage(t: Test): Promise<{ readonly work: string; readonly url: string }> {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-page-'));
  t.teardown(() => {
    rmSync(work, { recursive: true, force: true });
  });
  const [result, trace, page] = ['run.json', 'job.trace', 'report.html'].map((name) =>
    join(work, name),
  ) as [string, string, string];
  writeFileSync(result, benchResultText(measuredResult()));
  writeFileSync(trace, measuredTrace());
  const made = await pinfsInProcess(['report', result, trace, '-o', page]);
  t.equal(made.code, 0, made.stderr);
  t.match(made.stdout, /report\.html: 10 pictures/);
  return { work, url: pathToFileURL(page).href };
}

async function look(url: string, body: (page: Page) => Promise<void>): Promise<string[]> {
  const { chromium } = await import('playwright-core');
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const browser = await chromium.launch({ executablePath: browserPath ?? '', args });
  const complaints: string[] = [];
  try {
    const page = await browser.newPage({ viewport: { width: 1000, height: 800 } });
    page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', ({ message }) => complaints.push(message));
    page.on('request', (request) => {
      if (request.url() !== url) complaints.push(`asks for ${request.url()}`);
    });
    await page.goto(url);
    await body(page);
  } finally {
    await browser.close();
  }
  return complaints;
}

void t.test(
  'each picture has marks, a table, and values for mouse and keys',
  needsBrowser,
  async (t) => {
    const { work, url } = await makePage(t);
    const complaints = await look(url, async (page) => {
      for (const { name, marks, rows, words, values } of await facts(page)) {
        t.ok(marks > 0, `${name}: marks`);
        t.ok(rows > 0, `${name}: a table`);
        t.ok(words > 3, `${name}: a text`);
        for (const value of values) t.match(value, /\d/, `${name}: a value by keys`);
      }
      const chart = page.locator('.chart').nth(1);
      await chart.press('End');
      t.match(await page.locator('output').nth(1).innerText(), /\d/, 'a value by a real key');
      await pointAt(t, page);
      await texts(t, page);
      const picture = join(work, 'report.png');
      await page.screenshot({ path: picture, fullPage: true });
      t.ok(statSync(picture).size > 50_000, 'a screenshot');
      await page.emulateMedia({ colorScheme: 'dark' });
      const colour = 'getComputedStyle(document.querySelector(".chart svg")).color';
      t.equal(await page.evaluate(colour), 'rgb(230, 233, 238)', 'light on dark');
      await page.emulateMedia({ media: 'print' });
      t.equal(await page.locator('nav').isVisible(), false, 'no links on paper');
      t.ok((await page.pdf()).length > 50_000, 'it can be printed');
    });
    t.same(complaints, [], 'nothing on the console, nothing asked of the network');
  },
);

interface Facts {
  readonly name: string;
  readonly marks: number;
  readonly rows: number;
  readonly words: number;
  readonly values: readonly string[];
}

/** Of each picture, by one question. */
function facts(page: Page): Promise<readonly Facts[]> {
  return page.evaluate(`[...document.querySelectorAll('main > section:has(figure)')].map((section) => {
    const chart = section.querySelector('.chart');
    const by = (key) => {
      chart.dispatchEvent(new KeyboardEvent('keydown', { key }));
      return section.querySelector('output').textContent;
    };
    return {
      name: section.querySelector('h2').textContent,
      marks: [...section.querySelectorAll('svg title')].length,
      rows: section.querySelectorAll('tbody tr').length,
      words: section.querySelector('figcaption').textContent.split(' ').length,
      values: [by('Home'), by('ArrowRight'), by('ArrowLeft'), by('End')],
    };
  })`);
}

/** With a mouse, on the first bar. */
async function pointAt(t: Test, page: Page): Promise<void> {
  const bar = page.locator('main > section').first().locator('rect:has(> title)').first();
  await bar.hover();
  t.match(await page.locator('output').first().innerText(), /kernel, mount: median 420\.0 ms/);
  const tip = page.locator('main > section').first().locator('[aria-label=tip] text');
  t.match((await tip.textContent()) ?? '', /median 420\.0 ms/, 'a tip beside it');
}

async function texts(t: Test, page: Page): Promise<void> {
  const text = await page.locator('body').innerText();
  for (const part of [
    'Cold, warm and hot (run.json)',
    'present limit 2.0 MiB',
    'Misses by limit and policy',
    'Read amplification (job.trace)',
    '/software/part3',
    'pinfs bench http://server/cvmfs/sw.example.org@v1',
    'node1: some, 2 processors, 8.0 GiB',
    'pinfs report',
  ])
    t.ok(text.includes(part), part);
  // Cold: 800, 810 … 840 ms.
  t.match(text.replaceAll(/\s+/g, ' '), /kernel cold 820\.0 ms 810\.0 ms 830\.0 ms/);
}

void t.test('what is no result and no trace is refused by name', async (t) => {
  const directory = t.testdir({ 'other.json': '{"format":"other"}' });
  const { code, stderr } = await pinfsInProcess(['report', join(directory, 'other.json')]);
  t.equal(code, 1);
  t.match(stderr, /RESULT_MALFORMED/);
});

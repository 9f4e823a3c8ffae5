import { pageScript } from './page-script.js';
import type { Report, Section, NumberTable } from './report.js';

/** The libraries that draw, as text for a browser. */
export interface DrawingLibraries {
  readonly d3: string;
  readonly plot: string;
}

// Longer tables are folded, and unfolded on paper.
const rowsShownMax = 16;

/** One page that needs nothing else: no network, no file beside it. */
export function reportPage(report: Report, libraries: DrawingLibraries): string {
  const { title, summary, sections, conditions } = report;
  const conditionsTable = { head: ['', ''], rows: conditions.map((row) => [...row]) };
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>${escaped(title)}</h1>
<p>${escaped(summary)}</p>
<nav aria-label="Pictures"><ul>
${sections.map(({ id, title: name }) => `<li><a href="#${escaped(id)}">${escaped(name)}</a></li>`).join('\n')}
<li><a href="#conditions">Conditions</a></li>
</ul></nav>
</header>
<main>
${sections.map(sectionHtml).join('\n')}
<section id="conditions"><h2>Conditions</h2>
${conditionsHtml(conditionsTable)}
</section>
</main>
<script>${inScript(libraries.d3)}</script>
<script>${inScript(libraries.plot)}</script>
<script>${inScript(pageScript)}</script>
</body>
</html>
`;
}

function sectionHtml({ id, title, text, chart, table }: Section): string {
  const name = escaped(id);
  const json = JSON.stringify(chart).replaceAll('<', '\\u003c');
  return `<section id="${name}"><h2>${escaped(title)}</h2>
<figure aria-labelledby="${name}-text">
<figcaption id="${name}-text">${escaped(text)}</figcaption>
<div class="chart" tabindex="0" role="group" aria-label="${escaped(title)}: picture; the arrow keys go through its values, which stand in the table as well"></div>
<output aria-live="polite"></output>
<script type="application/json">${json}</script>
</figure>
${foldedTable(title, table)}
</section>`;
}

function foldedTable(title: string, table: NumberTable): string {
  const isLong = table.rows.length > rowsShownMax;
  return `<details${isLong ? '' : ' open'}><summary>The numbers</summary>${tableHtml(title, table)}</details>`;
}

function tableHtml(title: string, { head, rows }: NumberTable): string {
  const cells = (row: readonly string[]): string =>
    row
      .map((cell, index) =>
        index === 0 ? `<th scope="row">${escaped(cell)}</th>` : `<td>${escaped(cell)}</td>`,
      )
      .join('');
  return `<div class="table"><table><caption>${escaped(title)}</caption>
<thead><tr>${head.map((cell) => `<th scope="col">${escaped(cell)}</th>`).join('')}</tr></thead>
<tbody>${rows.map((row) => `<tr>${cells(row)}</tr>`).join('\n')}</tbody></table></div>`;
}

function conditionsHtml({ rows }: NumberTable): string {
  return `<dl>${rows.map(([name = '', value = '']) => `<dt>${escaped(name)}</dt><dd>${escaped(value)}</dd>`).join('\n')}</dl>`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? '');
}

/** A script ends where this stands in it, even in a string. */
function inScript(text: string): string {
  return text.replaceAll(/<\/(script)/gi, '<\\/$1').replaceAll('<!--', '<\\!--');
}

const style = `
:root { --back: #fff; --front: #1b1e23; --soft: #5b6470; --line: #d9dee5; --plot-background: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --back: #14171c; --front: #e6e9ee; --soft: #9aa4b1; --line: #343b45; --plot-background: #14171c; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem; background: var(--back); color: var(--front);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .25rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; padding: 0; }
a { color: inherit; text-decoration-color: var(--soft); }
figure { margin: 0; }
figcaption, header p { color: var(--soft); max-width: 46rem; }
.chart { margin: .75rem 0 0; min-height: 4rem; }
.chart figure { max-width: 100%; }
.chart svg { max-width: 100%; height: auto; }
.chart:focus-visible { outline: 3px solid #4c8bf5; outline-offset: 4px; border-radius: 4px; }
.chart .now { stroke: currentColor; stroke-width: 2.5px; }
output { display: block; min-height: 1.5em; font-variant-numeric: tabular-nums; }
summary { cursor: pointer; color: var(--soft); }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
th, td { padding: .2rem .8rem .2rem 0; text-align: left; border-bottom: 1px solid var(--line); }
td { text-align: right; }
th { font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
@media print {
  :root { --back: #fff; --front: #000; --soft: #444; --line: #bbb; --plot-background: #fff; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav, output { display: none; }
  figure, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
}
`;

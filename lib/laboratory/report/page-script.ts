/**
 * What runs in the page: draws each chart with Observable Plot from the JSON beside it, and shows the values of what is
 * pointed at, or reached by the arrow keys. It is handed to a browser as it stands.
 */
export const pageScript = String.raw`
'use strict';
{
  const units = {
    bytes: (n) => {
      const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
      let i = 0;
      for (; n >= 1024 && i < 4; i++) n /= 1024;
      return (n < 10 && i > 0 ? n.toFixed(1) : Math.round(n)) + ' ' + names[i];
    },
    milliseconds: (n) => (n < 1000 ? +n.toPrecision(3) + ' ms' : +(n / 1000).toPrecision(3) + ' s'),
    microseconds: (n) =>
      n < 1000 ? +n.toPrecision(3) + ' \u00b5s' : n < 1e6 ? +(n / 1000).toPrecision(3) + ' ms' : +(n / 1e6).toPrecision(3) + ' s',
    seconds: (n) => +n.toPrecision(3) + ' s',
    share: (n) => +(100 * n).toFixed(1) + ' %',
    count: (n) => n.toLocaleString('en'),
  };
  const scale = (axis, more) => ({
    label: axis.label,
    tickFormat: units[axis.unit],
    type: axis.isLogarithmic ? 'log' : 'linear',
    ticks: axis.isLogarithmic ? 6 : 7,
    grid: true,
    labelOffset: 40,
    ...more,
  });
  const color = { legend: true, scheme: 'observable10' };
  const title = (d) => d.text;

  const kinds = {
    spread: ({ axis, data }) => ({
      marginLeft: 80,
      height: 60 + 24 * data.length + 18 * new Set(data.map((d) => d.group)).size,
      x: scale(axis, { domain: [0, Math.max(...data.map((d) => d.high))] }),
      y: { label: null, domain: [...new Set(data.map((d) => d.name))] },
      fy: { label: null },
      color: { scheme: 'observable10' },
      marks: [
        Plot.barX(data, { x: 'middle', y: 'name', fy: 'group', fill: 'name', title }),
        Plot.ruleY(data, { x1: 'low', x2: 'high', y: 'name', fy: 'group', strokeWidth: 3, marker: 'tick' }),
        Plot.tip(data, Plot.pointerY({ x: 'middle', y: 'name', fy: 'group', title })),
      ],
    }),
    lines: ({ x, y, data, marked }) => ({
      x: scale(x),
      y: scale(y, { domain: [0, y.unit === 'share' ? 1 : Math.max(...data.map((d) => d.y))] }),
      color,
      symbol: { legend: false },
      marks: [
        Plot.ruleX(marked, { x: 'x', strokeDasharray: '6 4', strokeWidth: 1.5 }),
        Plot.text(marked, { x: 'x', text: 'text', frameAnchor: 'top', dy: -8, lineAnchor: 'bottom' }),
        Plot.lineY(data, { x: 'x', y: 'y', stroke: 'series', strokeWidth: 2 }),
        Plot.dot(data, { x: 'x', y: 'y', fill: 'series', symbol: 'series', r: 3, title }),
        Plot.tip(data, Plot.pointer({ x: 'x', y: 'y', title })),
      ],
    }),
    stack: ({ x, y, data }) => ({
      x: scale(x),
      y: scale(y),
      color,
      marks: [
        Plot.rectY(data, { x1: 'x1', x2: 'x2', y: 'y', fill: 'series', title }),
        Plot.tip(data, Plot.pointerX(Plot.stackY({ x1: 'x1', x2: 'x2', y: 'y', z: 'series', title }))),
        Plot.ruleY([0]),
      ],
    }),
    cells: ({ x, value, data }) => {
      const rows = [...new Set(data.map((d) => d.row))];
      return {
        marginLeft: Math.min(280, 20 + 7 * Math.max(...rows.map((row) => row.length))),
        height: 70 + 20 * rows.length,
        x: scale(x, { grid: false }),
        y: { label: null, domain: rows },
        color: { legend: true, scheme: 'blues', type: 'sqrt', label: value.label, range: [0.25, 1] },
        marks: [
          Plot.barX(data, { x1: 'x1', x2: 'x2', y: 'row', fill: 'value', insetTop: 1, insetBottom: 1, title }),
          Plot.tip(data, Plot.pointer({ x: (d) => (d.x1 + d.x2) / 2, y: 'row', title })),
        ],
      };
    },
    bars: ({ axis, data }) => ({
      marginLeft: 190,
      height: 60 + 34 * new Set(data.map((d) => d.name)).size,
      x: scale(axis),
      y: { label: null, domain: [...new Set(data.map((d) => d.name))] },
      color: { ...color, legend: data.some((d) => d.series !== d.name) },
      marks: [
        Plot.barX(data, { x: 'value', y: 'name', fill: 'series', title }),
        Plot.tip(data, Plot.pointer(Plot.stackX({ x: 'value', y: 'name', z: 'series', title }))),
        Plot.ruleX([0]),
      ],
    }),
  };

  const draw = (figure) => {
    const chart = JSON.parse(figure.querySelector('script').textContent);
    const drawn = Plot.plot({
      width: 860,
      marginLeft: 70,
      marginTop: 28,
      marginBottom: 44,
      style: { background: 'transparent', overflow: 'visible', fontSize: '13px' },
      ...kinds[chart.kind](chart),
    });
    const place = figure.querySelector('.chart');
    place.replaceChildren(drawn);
    return place;
  };

  // Each datum is an element with a title, which says its values.
  const listen = (figure, place) => {
    const said = figure.querySelector('output');
    const elements = [...place.querySelectorAll('svg title')].map((each) => each.parentElement);
    let now = -1;
    const show = (index) => {
      elements[now]?.classList.remove('now');
      now = index;
      const element = elements[index];
      if (element === undefined) return;
      element.classList.add('now');
      said.textContent = element.querySelector('title').textContent;
    };
    place.addEventListener('pointerover', ({ target }) => {
      const index = elements.indexOf(target.closest?.('svg *'));
      if (index >= 0) show(index);
    });
    place.addEventListener('keydown', (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const to = { Home: 0, End: elements.length - 1 }[event.key] ?? (step && now + step);
      if (to === undefined) return;
      event.preventDefault();
      show(Math.max(0, Math.min(elements.length - 1, to)));
    });
  };

  for (const figure of document.querySelectorAll('figure')) listen(figure, draw(figure));
  // Paper has no place to click.
  addEventListener('beforeprint', () => {
    for (const each of document.querySelectorAll('details')) each.open = true;
  });
}
`;

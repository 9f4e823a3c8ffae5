import type { MetricsText } from '../metrics/server.js';
import { fromText, printable } from '../../format/bytes.js';
import { histogramRows, type HistogramRow } from './histogram-rows.js';
import { metricRows, type MetricFacts, type MetricRow } from './metric-rows.js';

type PromClient = typeof import('prom-client');

// Of a label: a path may have four times as many (UTF-16 units).
const labelLengthMax = 1024;

/** Writes the metrics of a mount. */
export async function metricsText(facts: MetricFacts): Promise<MetricsText> {
  const prom = await import('prom-client');
  const registry = new prom.Registry();
  registry.setDefaultLabels({ repository: clean(facts.status.repository) });
  for (const row of metricRows) addRow(prom, registry, row, facts);
  for (const row of histogramRows) addHistogram(prom, registry, row, facts);
  return { type: registry.contentType, text: await registry.metrics() };
}

type Registry = InstanceType<PromClient['Registry']>;

function addRow(
  prom: PromClient,
  registry: Registry,
  { name, kind, help, labels, samples }: MetricRow,
  facts: MetricFacts,
): void {
  const found = samples(facts);
  if (found.length === 0) return;
  const options = { name, help, labelNames: labels, registers: [registry] };
  if (kind === 'counter') {
    const counter = new prom.Counter(options);
    for (const { labels, value } of found) counter.inc(cleaned(labels), value);
    return;
  }
  const gauge = new prom.Gauge(options);
  for (const { labels, value } of found) gauge.set(cleaned(labels), value);
}

/** prom-client counts one value after the other; these were counted elsewhere. */
function addHistogram(
  prom: PromClient,
  registry: Registry,
  { name, help, labels, bounds, samples }: HistogramRow,
  facts: MetricFacts,
): void {
  const found = samples(facts);
  if (found.length === 0) return;
  const values = found.flatMap(({ labels, counts, sum }) => {
    const own = cleaned(labels);
    let total = 0;
    const buckets = [...bounds, '+Inf'].map((le, index) => {
      total += counts[index] ?? 0;
      return { labels: { ...own, le }, value: total, metricName: `${name}_bucket` };
    });
    return [
      ...buckets,
      { labels: own, value: sum, metricName: `${name}_sum` },
      { labels: own, value: total, metricName: `${name}_count` },
    ];
  });
  const histogram = new prom.Histogram({
    name,
    help,
    labelNames: labels,
    buckets: [...bounds],
    registers: [registry],
  });
  const get = () => Promise.resolve({ name, help, type: 'histogram', values });
  // What a registry asks for, where a metric has it.
  Object.assign(histogram, { get, getForPromString: get });
}

function cleaned(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, clean(value)]));
}

function clean(text: string): string {
  return printable(fromText(text)).slice(0, labelLengthMax);
}

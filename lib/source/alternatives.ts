import { asPinfsError } from '../format/errors.js';
import { objectPath, objectText, type ObjectName } from '../format/hash.js';
import type { Source } from './source.js';

/** Paths of objects that lie at the web root under another name (docs/format.md, 3.7), by their usual path. */
export type Alternatives = Map<string, string>;

/** A source that asks at the web root for the objects in `alternatives`, and under `data/` when they aren't there. */
export function withAlternatives(source: Source, alternatives: Alternatives): Source {
  return {
    label: source.label,
    traffic: source.traffic,
    get mirrors() {
      return source.mirrors;
    },
    get ways() {
      return source.ways;
    },
    arranged: source.arranged,
    once: (path, limit, listener) =>
      alternatives.has(path) ? undefined : source.once?.(path, limit, listener),
    judged: source.judged,
    nameOf: source.nameOf,
    wayOf: source.wayOf,
    close: () => source.close(),
    async get(path, limit, request) {
      const alternative = alternatives.get(path);
      if (alternative === undefined) return await source.get(path, limit, request);
      try {
        return await source.get(alternative, limit, request);
      } catch (error) {
        if (asPinfsError(error).code !== 'OBJECT_MISSING') throw error;
        return await source.get(path, limit, request);
      }
    },
  };
}

export function addAlternative(alternatives: Alternatives, object: ObjectName): void {
  alternatives.set(objectPath(object), `.cvmfsalt-${objectText(object)}`);
}

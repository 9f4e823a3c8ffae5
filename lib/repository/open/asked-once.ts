import type { Source } from '../../source/source.js';
import { headFiles } from './evidence.js';

/** The source for one look: it is asked for its head once, and what went wrong is told once. */
export function askedOnce(source: Source): Source {
  const answers = new Map<string, Promise<Buffer>>();
  const alone = new Map<Source, Source>();
  const once = (mirror: Source): Source => {
    const known = alone.get(mirror) ?? askedOnce(mirror);
    alone.set(mirror, known);
    return known;
  };
  return {
    label: source.label,
    traffic: source.traffic,
    get mirrors() {
      return source.mirrors?.map(once);
    },
    arranged: source.arranged,
    judged: source.judged,
    nameOf: source.nameOf,
    wayOf: source.wayOf,
    close: () => source.close(),
    get(path, limit, request) {
      const isAgain = (request?.served ?? []).length > 0;
      if (!headFiles.has(path) || isAgain) return source.get(path, limit, request);
      const answer = answers.get(path) ?? source.get(path, limit, request);
      answers.set(path, answer);
      return answer;
    },
  };
}

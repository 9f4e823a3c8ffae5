import { PinfsError } from '../../format/errors.js';
import { escapePath } from '../path.js';
import { nothingMet, type Way } from '../failover/failover.js';
import type { Once, OnceListener, OnceOutcome } from '../source.js';
import { makeQuestion, now, send, targetOn, type Client } from './client.js';
import { noteAnswer } from './ask.js';
import type { SourceAnswer } from './request.js';

const plain = { request: {}, fresh: false, tries: 0 } as const;

/**
 * Sends one request by the way that is preferred now: what `ask` does where all is well, without what it needs where
 * something isn't. undefined: it has to be asked for with `ask`.
 */
export function askByOneRequest(
  client: Client,
  path: string,
  limit: number,
  listener: OnceListener,
): Once | undefined {
  const { network, settings } = client;
  if (client.closed || settings.followRedirects) return undefined;
  const escaped = escapePath(path);
  const [first, ...others] = network.failover.ways;
  const asked = now();
  const way = others.length === 0 ? first : network.failover.pick(escaped, nothingMet, asked);
  if (way === undefined || network.rests.left(way, asked) > 0) return undefined;
  const target = targetOn(network.bases[way.mirror], escaped);
  let seen = 0;
  const question = makeQuestion(client, way, target, { ...plain, limit });
  const exchange = send(client, way, question, {
    came: (received) => {
      listener.came(received - seen);
      seen = received;
    },
    answered: () => undefined,
    ended: (answer) => listener.ended(outcomeOf(client, answer, way, asked)),
  });
  return {
    cancel: () => exchange.cancel(new PinfsError('INTERRUPTED', 'nobody waits for it any more')),
    hold: (held) => exchange.hold(held),
  };
}

function outcomeOf(client: Client, answer: SourceAnswer, way: Way, asked: number): OnceOutcome {
  switch (answer.kind) {
    case 'body':
      noteAnswer(client, way, asked);
      return { bytes: answer.bytes, served: { ...way, fresh: false } };
    case 'redirect':
      return {};
    case 'failed':
      return { tried: { way, asked, answer } };
  }
}

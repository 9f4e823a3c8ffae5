import t from 'tap';
import { openBench } from '../testing/bench.js';
import { startRelay } from '../source/relay.js';
import { promised, treeOf } from '../testing/suites/promised.js';

// Connection, manifest and whitelist, then what they name. 4 ms make the chain longer than any turn of the event loop.
const oneWayMs = 4;
const { made, first, second } = promised;

const pins: Readonly<Record<string, { readonly pin: string | undefined; readonly most: number }>> =
  {
    'a root hash': { pin: second.rootHash.text, most: 4 },
    'an older root hash': { pin: first.rootHash.text, most: 5 },
    'a tag': { pin: 'v2', most: 5 },
    'the head': { pin: undefined, most: 5 },
  };

for (const [name, { pin, most }] of Object.entries(pins)) {
  void t.test(`${name}: round trips until the root directory is there`, async (t) => {
    const bench = await openBench(t, made);
    const url = new URL(bench.server.url);
    const relay = await startRelay(Number(url.port), oneWayMs);
    t.teardown(() => relay.close());
    url.port = String(relay.port);
    const source = url.href.replace(/\/$/, '') + (pin === undefined ? '' : `@${pin}`);
    const repository = await bench.open(undefined, { source });
    t.ok(relay.roundTrips <= most, `${relay.roundTrips} of ${most}`);
    const cold = relay.roundTrips;
    await treeOf(repository);
    await repository.close();
    relay.reset();
    const again = await bench.open(undefined, { source });
    t.ok(relay.roundTrips <= Math.min(cold, 3), `${relay.roundTrips} with what is here`);
    await again.close();
  });
}

/** A kept tree behind a server and a relay. */
import { startRelay, type Relay } from '../lib/source/relay.js';
import { keptTree, type Kept, type KeptPlace } from './kept.js';
import type { TreeName } from './made-trees.js';
import { startNginx, type Nginx } from './nginx.js';

/** How a client reaches the server: straight, with each answer noted, or over 20 ms. */
export type Way = 'server' | 'noted' | 'relay';

const oneWayMs = 10;

export interface Served {
  readonly kept: Kept;
  readonly nginx: Nginx;
  readonly relay: Relay;
}

export async function serve(name: TreeName, place: KeptPlace): Promise<Served> {
  const kept = keptTree(name, place);
  const nginx = await startNginx(kept.served);
  return { kept, nginx, relay: await startRelay(nginx.port, oneWayMs) };
}

export function urlOf({ kept, nginx, relay }: Served, way: Way): string {
  const port = { server: nginx.port, noted: nginx.notedPort, relay: relay.port }[way];
  return `http://127.0.0.1:${port}/${kept.fqrn}`;
}

/** Content bytes that were sent and not wanted, of those that were wanted; catalogs are not content. */
export function wasteOf({ kept, nginx }: Served, wanted: ReadonlySet<string>): number {
  let [used, unused] = [0, 0];
  for (const { path, bytes } of nginx.noted()) {
    const object = path.replace(`/${kept.fqrn}/`, '');
    if (wanted.has(object)) used += bytes;
    else if (/^data\/..\/[0-9a-f]+P?$/.test(object)) unused += bytes;
  }
  return unused / used;
}

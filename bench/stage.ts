/** Where a series is played: the kept trees behind a server and a relay, and who takes part in each row. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mount, pinfs, script, type Client, type Filling, type Mounted } from './client.js';
import { curl } from './curl.js';
import type { Kept, KeptFile, KeptPlace } from './kept.js';
import type { TreeName } from './made-trees.js';
import { heldBy } from './memory.js';
import { output, shell, timed } from './process.js';
import { serve, urlOf, wasteOf, type Served, type Way } from './served.js';
import type { Series } from './series.js';

export interface Participant extends Mounted {
  readonly client: string;
}

type Play = (mounted: Participant) => Promise<void>;

/** What a row may do. */
export interface Stage {
  readonly work: string;
  kept(name: TreeName): Kept;
  /** Reads the local copy, its pages dropped unless told otherwise. */
  local(tree: TreeName, command: string, what?: string, dropped?: boolean): Promise<void>;
  curl(tree: TreeName, objects: readonly string[], way: Way): Promise<void>;
  /** Plays with a fresh mount and an empty cache of each client. */
  cold(tree: TreeName, way: Way, play: Play): Promise<void>;
  /** Cold, pinfs of this checkout alone, with these options of a mount. */
  coldWith(tree: TreeName, way: Way, options: string, play: Play): Promise<void>;
  /** Warm: a fresh mount over a cache that has everything, pages dropped. */
  at(temperature: 'cold' | 'warm', tree: TreeName, play: Play): Promise<void>;
  timed(mounted: Participant, command: string, what?: string): Promise<void>;
  memory(mounted: Participant, what?: string): void;
  forgetAnswers(): void;
  /** Notes the share of content bytes sent that nobody asked for. */
  waste(mounted: Participant, wanted: ReadonlySet<string>): void;
  openReadClose(files: readonly KeptFile[]): string;
  hasCommand(name: string): Promise<boolean>;
  /** Times a command of pinfs that needs no mount, with an empty cache. */
  command(what: string, tree: TreeName, line: (filling: Filling) => string): Promise<void>;
  close(): Promise<void>;
}

export interface StageOptions extends KeptPlace {
  readonly clients: readonly Client[];
  /** The trees that the rows need. */
  readonly names: readonly TreeName[];
  readonly series: Series;
}

interface Setting {
  readonly work: string;
  readonly clients: readonly Client[];
  readonly series: Series;
  readonly served: (name: TreeName) => Served;
}

export async function openStage(options: StageOptions): Promise<Stage> {
  const { clients, series } = options;
  const work = join(options.work, `run-${process.pid}`);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  const all = new Map<TreeName, Served>();
  for (const name of options.names) all.set(name, await serve(name, options));
  const served = (name: TreeName): Served => {
    const one = all.get(name);
    if (one === undefined) throw new Error(`'${name}' is not served`);
    return one;
  };
  const setting: Setting = { work, clients, series, served };
  return {
    work,
    kept: (name) => served(name).kept,
    ...yardsticks(setting),
    ...mounts(setting),
    ...probes(setting),
    forgetAnswers: () => all.forEach(({ nginx }) => void nginx.noted()),
    async close() {
      for (const { nginx, relay } of all.values()) {
        await relay.close();
        await nginx.close();
      }
      rmSync(work, { recursive: true, force: true });
    },
  };
}

function yardsticks({ work, series, served }: Setting): Pick<Stage, 'local' | 'curl'> {
  return {
    async local(name, command, what = '', dropped = true) {
      if (dropped) await dropCaches(series);
      series.note('local', what, await timed(shell(command), { cwd: served(name).kept.local }));
    },
    async curl(name, objects, way) {
      await dropCaches(series);
      series.note('curl', '', await curl(urlOf(served(name), way), objects, work));
    },
  };
}

function mounts(setting: Setting): Pick<Stage, 'cold' | 'coldWith' | 'at'> {
  const { work, clients } = setting;
  let turn = 0;
  // Who began in one turn is last in the next.
  const ordered = (): Client[] => (turn++ % 2 === 0 ? [...clients] : [...clients].reverse());
  const play = async (client: Client, filling: Filling, then: Play): Promise<void> => {
    await dropCaches(setting.series);
    const mounted = await mount(client, filling);
    try {
      await then({ ...mounted, client: client.name });
    } finally {
      await mounted.unmount();
    }
  };
  const cold: Stage['cold'] = async (name, way, then) => {
    for (const client of ordered()) {
      const cache = join(work, 'cold');
      await play(client, fillingOf(setting, name, way, cache), then);
      rmSync(cache, { recursive: true, force: true });
    }
  };
  const full = new Set<string>();
  const warm = async (name: TreeName, then: Play): Promise<void> => {
    for (const client of ordered()) {
      const cache = join(work, `warm-${name}-${client.name}`);
      const filling = fillingOf(setting, name, 'server', cache);
      if (!full.has(cache)) {
        await play(client, filling, async ({ path }) => {
          await timed(shell('tar cf - . | cat'), { cwd: path });
        });
        full.add(cache);
      }
      await play(client, filling, then);
    }
  };
  return {
    cold,
    async coldWith(name, way, options, then) {
      const cache = join(work, 'cold');
      const command = pinfs.command.replace(' mount ', ` mount ${options} `);
      await play({ ...pinfs, command }, fillingOf(setting, name, way, cache), then);
      rmSync(cache, { recursive: true, force: true });
    },
    at: (temperature, name, then) =>
      temperature === 'warm' ? warm(name, then) : cold(name, 'server', then),
  };
}

function fillingOf(setting: Setting, name: TreeName, way: Way, cache: string): Filling {
  const served = setting.served(name);
  const { key, rootHash: hash, tag, fqrn } = served.kept;
  const mnt = join(setting.work, 'mnt');
  return { url: urlOf(served, way), cache, mnt, key, hash, tag, fqrn };
}

const here = dirname(fileURLToPath(import.meta.url));

function probes(
  setting: Setting,
): Pick<Stage, 'timed' | 'memory' | 'waste' | 'openReadClose' | 'hasCommand' | 'command'> {
  const { work, series, served } = setting;
  return {
    async timed({ client, path }, command, what = '') {
      series.note(client, what, await timed(shell(command), { cwd: path }));
    },
    memory({ client, mark }, what = '') {
      const { pss, descriptors } = heldBy(mark);
      series.note(client, `${what} PSS`.trim(), pss / 2 ** 20, 'MiB');
      series.note(client, `${what} descriptors`.trim(), descriptors, '');
    },
    waste({ client }, wanted) {
      series.note(client, 'waste', 100 * wasteOf(served('tree'), wanted), '%');
    },
    openReadClose(files) {
      const names = join(work, 'names');
      writeFileSync(names, files.map(({ path }) => path).join('\0'));
      return `'${process.execPath}' '${join(here, 'open-read-close.js')}' '${names}'`;
    },
    async hasCommand(name) {
      const help = await output([process.execPath, script, '--help']);
      return new RegExp(`^  ${name} `, 'm').test(help);
    },
    async command(what, name, line) {
      const filling = fillingOf(setting, name, 'server', join(work, 'cold'));
      await dropCaches(series);
      const command = shell(`'${process.execPath}' '${script}' ${line(filling)}`);
      series.note('pinfs', what, await timed(command));
      rmSync(filling.cache, { recursive: true, force: true });
      rmSync(join(work, 'copied'), { recursive: true, force: true });
    },
  };
}

/** All that the kernel keeps of files; only root may. */
async function dropCaches(series: Series): Promise<void> {
  await timed(['sync']);
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '3');
  } catch {
    series.pagesKept();
  }
}

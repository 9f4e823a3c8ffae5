/** The rows of the series: what is done in one round, and with what it is compared. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Filling } from './client.js';
import type { TreeName } from './made-trees.js';
import { chosenFiles, jobOrder, readers } from './readers.js';
import type { Participant, Stage } from './stage.js';

export interface Row {
  readonly name: string;
  /** What it reads. */
  readonly tree: TreeName;
  /** Other trees that it needs. */
  readonly also?: readonly TreeName[];
  /** Measures this row once, everything that takes part by turns. */
  round(stage: Stage): Promise<void>;
}

const tar = 'tar cf - . | cat';
const find = 'find . -ls';
const list = 'ls -lR .';

/** All of a tree, cold, beside the local copy and curl. `then` looks at the mount when it was read. */
function coldWhole(
  name: string,
  tree: TreeName,
  commandOf: (stage: Stage) => string,
  then: (stage: Stage, mounted: Participant) => void = () => undefined,
): Row {
  return {
    name,
    tree,
    async round(stage) {
      const command = commandOf(stage);
      await stage.local(tree, command);
      await stage.curl(tree, stage.kept(tree).objects, 'server');
      await stage.cold(tree, 'server', async (mounted) => {
        await stage.timed(mounted, command);
        then(stage, mounted);
      });
    },
  };
}

const coldFind: Row = {
  name: 'cold-find',
  tree: 'tree',
  async round(stage) {
    await stage.local('tree', find);
    await stage.cold('tree', 'server', (mounted) => stage.timed(mounted, find));
  },
};

/** The same files over both ways; what was sent beyond what was read is counted. */
function random(name: string, way: 'noted' | 'relay'): Row {
  return {
    name,
    tree: 'tree',
    async round(stage) {
      const kept = stage.kept('tree');
      const files = chosenFiles(kept.files);
      const command = readers(files, 1, stage.work);
      const objects = files.flatMap((one) => one.objects);
      await stage.local('tree', command);
      await stage.curl('tree', objects, way);
      await stage.cold('tree', way, async (mounted) => {
        stage.forgetAnswers();
        await stage.timed(mounted, command);
        if (way === 'noted') stage.waste(mounted, new Set(objects));
      });
    },
  };
}

const rttTar: Row = {
  name: 'rtt-tar',
  tree: 'tree',
  async round(stage) {
    await stage.curl('tree', stage.kept('tree').objects, 'relay');
    await stage.cold('tree', 'relay', (mounted) => stage.timed(mounted, tar));
  },
};

const catalogs: Row = {
  name: 'catalogs',
  tree: 'catalogs',
  async round(stage) {
    await stage.local('catalogs', find);
    for (const temperature of ['cold', 'warm'] as const) {
      await stage.at(temperature, 'catalogs', async (mounted) => {
        await stage.timed(mounted, find, temperature);
        stage.memory(mounted, temperature);
      });
    }
  },
};

const warm: Row = {
  name: 'warm',
  tree: 'tree',
  async round(stage) {
    const kept = stage.kept('tree');
    const open = stage.openReadClose(kept.files);
    for (const [name, command] of Object.entries({ find, tar, list, open })) {
      await stage.local('tree', command, name);
      await stage.local('tree', command, `${name} hot`, false);
      await stage.at('warm', 'tree', async (mounted) => {
        await stage.timed(mounted, command, name);
        await stage.timed(mounted, command, `${name} hot`);
      });
    }
  },
};

/** The commands that read with no mount; `fetch` where this checkout has it. */
const fetchRow: Row = {
  name: 'fetch',
  tree: 'tree',
  async round(stage) {
    await stage.curl('tree', stage.kept('tree').objects, 'server');
    const options = ({ key, cache }: Filling): string =>
      `--key '${key}' --cache '${cache}' --cache-limit 8G`;
    await stage.command('cp -r', 'tree', (filling) => {
      const target = join(stage.work, 'copied');
      return `cp -r ${options(filling)} '${filling.url}@${filling.hash}' / '${target}'`;
    });
    if (!(await stage.hasCommand('fetch'))) return;
    await stage.command(
      'fetch',
      'tree',
      (filling) => `fetch ${options(filling)} '${filling.url}@${filling.hash}'`,
    );
  },
};

/** A job with an order of its own over 20 ms: with nothing fetched ahead, with its profile, and with that of the revision before. */
const profile: Row = {
  name: 'profile',
  tree: 'job',
  also: ['job-before'],
  async round(stage) {
    const files = jobOrder(stage.kept('job').files);
    const command = stage.openReadClose(files);
    const learn = async (tree: 'job' | 'job-before'): Promise<string> => {
      const learned = join(stage.work, `${tree}.profile`);
      if (existsSync(learned)) return learned;
      await stage.coldWith(tree, 'server', `--learn '${learned}' --ahead off`, async (mounted) => {
        await stage.timed(mounted, command, `learning ${tree}`);
      });
      return learned;
    };
    const learned = { own: await learn('job'), before: await learn('job-before') };
    await stage.curl(
      'job',
      files.flatMap(({ objects }) => objects),
      'relay',
    );
    const options = {
      'nothing ahead': '--ahead off',
      'its profile': `--profile '${learned.own}'`,
      'the profile before': `--profile '${learned.before}'`,
    };
    for (const [what, given] of Object.entries(options)) {
      await stage.coldWith('job', 'relay', given, (mounted) => stage.timed(mounted, command, what));
    }
  },
};

/** Dear ones last. */
export const rows: readonly Row[] = [
  coldWhole(
    'cold-tar',
    'tree',
    () => tar,
    (stage, mounted) => stage.memory(mounted),
  ),
  coldWhole('cold-readers', 'tree', (stage) => readers(stage.kept('tree').files, 8, stage.work)),
  coldFind,
  random('random-500', 'noted'),
  coldWhole('chunked', 'chunked', () => 'cat big.bin | cat'),
  catalogs,
  fetchRow,
  warm,
  random('rtt-random-500', 'relay'),
  profile,
  rttTar,
];

/** The rows of these names, in the order of the table. @throws Error for a name that is none of them */
export function rowsNamed(names: readonly string[] | undefined): readonly Row[] {
  if (names === undefined) return rows;
  for (const name of names) {
    if (!rows.some((row) => row.name === name)) {
      throw new Error(`there is no row '${name}' (${rows.map((row) => row.name).join(', ')})`);
    }
  }
  return rows.filter((row) => names.includes(row.name));
}

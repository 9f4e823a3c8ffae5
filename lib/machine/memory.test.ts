import { spawnSync } from 'node:child_process';
import t from 'tap';
import { servingArguments, servingEnvironment } from './memory.js';

void t.test('a process that serves is started frugal, and as the user chose', (t) => {
  t.match(servingEnvironment({ HOME: '/h' }), { HOME: '/h', MALLOC_ARENA_MAX: '2' });
  t.match(servingEnvironment({ MALLOC_ARENA_MAX: '8' }), { MALLOC_ARENA_MAX: '8' });
  t.end();
});

void t.test('its arguments are known to Node, for its threads as well', (t) => {
  const script = `
    const { Worker } = require('node:worker_threads');
    const { getHeapStatistics } = require('node:v8');
    const say = "require('node:worker_threads').parentPort.postMessage(typeof gc)";
    new Worker(say, { eval: true }).on('message', (there) => {
      const megabytes = getHeapStatistics().heap_size_limit / 2 ** 20;
      console.log([there, typeof gc, megabytes < 600].join());
    });`;
  const { stdout, stderr } = spawnSync(process.execPath, [...servingArguments, '-e', script]);
  t.equal(String(stderr), '');
  t.equal(String(stdout), 'function,function,true\n');
  t.end();
});

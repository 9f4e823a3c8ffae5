import t from 'tap';
import { servingArguments, servingEnvironment } from './memory.js';

void t.test('a process that serves is started frugal, and as the user chose', (t) => {
  t.equal(servingArguments.length, 2);
  t.match(servingEnvironment({ HOME: '/h' }), { HOME: '/h', MALLOC_ARENA_MAX: '2' });
  t.match(servingEnvironment({ MALLOC_ARENA_MAX: '8' }), { MALLOC_ARENA_MAX: '8' });
  t.end();
});

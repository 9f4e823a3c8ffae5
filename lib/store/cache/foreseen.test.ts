import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { openForeseen } from './foreseen.js';
import { migrateRecords } from './records-schema.js';
import { prepareStatements } from './statements.js';

const count = 500;
const keyOf = (number: number): string => String(number).padStart(40, '0');

/** Records of `count` small objects, of which each tenth has a file of its own, and how often they were read. */
function opened(t: Test) {
  const db = new Database(':memory:');
  t.teardown(() => db.close());
  migrateRecords(db, 'here');
  const sql = prepareStatements(db);
  for (let number = 0; number < count; number++) {
    const segment = number % 10 === 0 ? null : 'segment';
    sql.insert.run(keyOf(number), number, Buffer.alloc(32, number), '', 0, segment, number);
  }
  const state = { reads: 0, now: performance.now() };
  const foreseen = openForeseen(
    (work) => {
      state.reads++;
      return work(sql);
    },
    () => state.now,
  );
  const size = (number: number) => foreseen.find(keyOf(number))?.size;
  return { sql, foreseen, state, size };
}

void t.test('who goes on in order has found the next ones', (t) => {
  const { state, size } = opened(t);
  for (let number = 0; number < count; number++) t.equal(size(number), number);
  t.ok(state.reads < count / 5, `${state.reads} reads for ${count}`);
  t.end();
});

void t.test('what has a file of its own is looked up each time', (t) => {
  const { state, size } = opened(t);
  t.equal(size(9), 9);
  t.equal(size(10), 10);
  t.equal(size(10), 10);
  t.equal(state.reads, 3);
  t.end();
});

void t.test('what is not there, was forgotten or is old is looked up', (t) => {
  const { sql, foreseen, state, size } = opened(t);
  t.equal(size(count), undefined);
  t.equal(size(1), 1);
  t.equal(size(2), 2);
  t.equal(state.reads, 2);
  const insert = (number: number, bytes: number) =>
    sql.insert.run(keyOf(number), bytes, Buffer.alloc(32), '', 0, 'other', 7);
  insert(count, 5);
  t.equal(size(count), 5);
  insert(2, 222);
  foreseen.forget(keyOf(2));
  t.equal(size(2), 222);
  insert(3, 333);
  foreseen.clear();
  t.equal(size(3), 333);
  insert(4, 444);
  state.now += 1001;
  t.equal(size(4), 444);
  t.end();
});

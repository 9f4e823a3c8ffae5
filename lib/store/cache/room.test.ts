import t from 'tap';
import { openRoom, type RoomParts } from './room.js';

/** A disk of which `free` bytes are free, with objects of 10 bytes; `frees` of each become free. */
function disk(free: number, objects: number, frees: number) {
  const state = { free, objects, frees, now: 1000, removed: 0 };
  const parts: RoomParts = {
    free: () => state.free,
    removable: () => state.objects * 10,
    remove: (loop) =>
      loop(() => {
        if (state.objects === 0) return undefined;
        state.objects--;
        state.removed++;
        state.free += state.frees;
        return 10;
      }),
    clock: () => state.now,
  };
  return { state, room: openRoom(parts) };
}

void t.test('as much is removed as is needed', (t) => {
  const { state, room } = disk(5, 100, 10);
  t.ok(room.make(32));
  t.equal(state.removed, 3);
  t.ok(room.make(35));
  t.equal(state.removed, 3, 'that much is free');
  t.end();
});

void t.test('nothing is removed where all of it would not be enough', (t) => {
  const { state, room } = disk(5, 3, 10);
  t.notOk(room.make(36));
  t.equal(state.removed, 0);
  t.ok(room.make(35));
  t.equal(state.removed, 3);
  t.end();
});

void t.test('where removing brings no room, one object is lost in a long while', (t) => {
  const { state, room } = disk(0, 100, 0);
  for (let second = 0; second < 3600; second++) {
    t.notOk(room.make(40));
    state.now += 1000;
  }
  t.ok(state.removed > 1 && state.removed < 15, `${state.removed} were removed`);
  state.frees = 10;
  state.now += 3_600_000;
  t.ok(room.make(40), 'and it is tried again');
  t.end();
});

void t.test('room that appears late counts', (t) => {
  const { state, room } = disk(0, 100, 0);
  t.notOk(room.make(40));
  t.equal(state.removed, 1);
  // Whoever had it open let it go.
  state.free += 10;
  state.frees = 10;
  t.ok(room.make(40));
  t.equal(state.removed, 4);
  t.end();
});

void t.test('where others take it as fast as it comes, it is given up', (t) => {
  const { state, room } = disk(0, 100, 1);
  t.notOk(room.make(40));
  t.ok(state.removed <= 9, `${state.removed} were removed`);
  t.end();
});

void t.test('a quota, which the free space does not show', (t) => {
  const { state, room } = disk(1e9, 100, 0);
  t.ok(room.make(40, true));
  t.equal(state.removed, 4);
  room.failed();
  t.notOk(room.make(40, true), 'writing failed all the same');
  t.equal(state.removed, 4);
  t.end();
});

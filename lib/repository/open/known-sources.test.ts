import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { knownSources, rememberSource } from './known-sources.js';

t.test('sources are remembered once each, the newest first, with no credentials', (t) => {
  const state = join(t.testdir(), 'state');
  t.same(knownSources(state), []);
  rememberSource(state, 'http://one.example.org/cvmfs/sw.example.org@v1');
  rememberSource(state, 'http://user:secret@two.example.org/cvmfs/sw.example.org');
  rememberSource(state, 'http://one.example.org/cvmfs/sw.example.org');
  const known = ['http://two.example.org', 'http://one.example.org'];
  t.same(
    knownSources(state),
    known.map((url) => `${url}/cvmfs/sw.example.org`),
  );
  for (let count = 0; count < 40; count++)
    rememberSource(state, `http://${count}.example.org/cvmfs/x`);
  t.equal(knownSources(state).length, 32);
  t.end();
});

t.test('a file of a later version is read as far as it is known, and left as it is', (t) => {
  const state = join(t.testdir(), 'state');
  mkdirSync(state, { mode: 0o700 });
  const file = join(state, 'sources.json');
  const later = JSON.stringify({ format: 99, sources: ['http://a.example.org/x'], more: 1 });
  writeFileSync(file, later, { mode: 0o600 });
  t.same(knownSources(state), ['http://a.example.org/x']);
  rememberSource(state, 'http://b.example.org/x');
  t.equal(readFileSync(file, 'utf8'), later);
  t.end();
});

t.test('what is damaged counts as none, and is replaced', (t) => {
  const state = join(t.testdir(), 'state');
  mkdirSync(state, { mode: 0o700 });
  const file = join(state, 'sources.json');
  for (const text of ['', '{', '["http://a/x"]', '{"format":1}', '{"format":1,"sources":[1]}']) {
    writeFileSync(file, text, { mode: 0o600 });
    t.same(knownSources(state), [], text);
    rememberSource(state, 'http://b.example.org/x');
    t.same(knownSources(state), ['http://b.example.org/x'], text);
  }
  t.end();
});

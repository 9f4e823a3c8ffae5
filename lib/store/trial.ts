import Database from 'better-sqlite3';

/** Opens a new database as the records of a cache are, and writes to it. @throws what SQLite says. */
export function tryDatabase(path: string): void {
  const database = new Database(path);
  try {
    database.pragma('journal_mode = WAL');
    database.exec('CREATE TABLE trial (x); INSERT INTO trial VALUES (1)');
  } finally {
    database.close();
  }
}

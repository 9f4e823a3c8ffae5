/** What the exit codes of all commands mean, for help, manual and README. */
export const exitCodes: readonly (readonly [code: number, meaning: string])[] = [
  [0, 'done'],
  [1, 'another failure'],
  [2, 'wrong usage'],
  [3, 'refused by trust'],
  [4, 'not reachable'],
  [5, 'damaged or missing object, catalog, history or tag'],
  [6, "can't mount here"],
  [7, 'offline, and --strict was given'],
];

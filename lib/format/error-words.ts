/** What is written about an error code; docs/errors.md is made from it. One or two plain sentences each. */
export interface ErrorWords {
  /** What happened. */
  readonly cause: string;
  /** What to do about it. */
  readonly mend: string;
  /** What a reader of a mount sees, by its name in errno.h, where the code can reach one. */
  readonly errno?:
    'EACCES' | 'EINTR' | 'EIO' | 'EISDIR' | 'ELOOP' | 'ENOENT' | 'ENOSPC' | 'ENOTDIR' | 'ETIMEDOUT';
}

/** What is said of one code, with the exit code of a command that ends with it. */
export interface ErrorFacts extends ErrorWords {
  readonly exit: number;
}

/** The facts of the codes that share an exit code. */
export function withExit<Code extends string>(
  exit: number,
  codes: Readonly<Record<Code, ErrorWords>>,
): Readonly<Record<Code, ErrorFacts>> {
  const entries = Object.entries<ErrorWords>(codes).map(([code, words]) => [
    code,
    { exit, ...words },
  ]);
  return Object.fromEntries(entries) as Record<Code, ErrorFacts>;
}

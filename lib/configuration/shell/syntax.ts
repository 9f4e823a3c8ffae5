import type { ByteString } from '../../format/bytes.js';

/* The part of the shell's language that configuration files are written in, as a tree. */

/** Why something is not evaluated, and what to write instead. */
export interface Refusal {
  readonly reason: string;
  readonly instead: string;
}

/** What stands behind the name in `${NAME…}`. */
export interface ParameterOperator {
  /** `%%` and `##` are those that take as much as they can. */
  readonly symbol: '-' | '=' | '+' | '?' | '%' | '%%' | '#' | '##';
  /** `:-` and the like, for which an empty value is none. */
  readonly colon: boolean;
  readonly word: ShellWord;
}

/** A piece of a word; what is quoted is neither split nor a pattern. */
export type WordPart = { readonly quoted: boolean } & (
  | { readonly kind: 'text'; readonly text: ByteString }
  | { readonly kind: 'parameter'; readonly name: string; readonly operator?: ParameterOperator }
  | { readonly kind: 'length'; readonly name: string }
  | { readonly kind: 'arithmetic'; readonly parts: readonly WordPart[] }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
);

export interface ShellWord {
  readonly parts: readonly WordPart[];
  /** Counted from 1. */
  readonly line: number;
}

export interface Assignment {
  readonly name: string;
  /** `NAME+=value`. */
  readonly append: boolean;
  readonly value: ShellWord;
  readonly line: number;
}

export type ShellCommand = { readonly line: number } & (
  | {
      readonly kind: 'simple';
      readonly assignments: readonly Assignment[];
      readonly words: readonly ShellWord[];
      /** Of a redirection other than to /dev/null. */
      readonly redirected?: Refusal;
    }
  | {
      readonly kind: 'if';
      readonly branches: readonly {
        readonly condition: readonly ShellCommand[];
        readonly body: readonly ShellCommand[];
      }[];
      readonly otherwise: readonly ShellCommand[];
    }
  | {
      readonly kind: 'case';
      readonly word: ShellWord;
      readonly branches: readonly {
        readonly patterns: readonly ShellWord[];
        readonly body: readonly ShellCommand[];
      }[];
    }
  | {
      readonly kind: 'and' | 'or';
      readonly left: ShellCommand;
      readonly right: ShellCommand;
    }
  | { readonly kind: 'not'; readonly command: ShellCommand }
  | { readonly kind: 'group'; readonly body: readonly ShellCommand[] }
  /** What is read and never run. */
  | { readonly kind: 'refused'; readonly refusal: Refusal; readonly body: readonly ShellCommand[] }
);

/** A file that was read. */
export interface Script {
  readonly commands: readonly ShellCommand[];
  /** Why reading ended, where, and in which line the command began that could not be read. */
  readonly broken?: {
    readonly refusal: Refusal;
    readonly line: number;
    readonly begun: number;
  };
}

/** What can't be read, or not evaluated. It ends at the next command, and never leaves this room. */
export class Refused extends Error {
  readonly refusal: Refusal;
  readonly line: number;

  constructor(reason: string, instead: string, line: number) {
    super(reason);
    this.refusal = { reason, instead };
    this.line = line;
  }
}

const nameForm = /^[A-Za-z_][A-Za-z0-9_]*$/;

export function isVariableName(text: string): boolean {
  return nameForm.test(text);
}

import { errorCode } from './errno.js';
import { errorFacts } from './error-codes.js';

/**
 * Everything that can go wrong for a user, one code for each cause; error-codes.ts has the catalogue.
 * Callers switch on `code`, never on text. The exit codes are those of the README:
 * 1 other, 2 wrong usage, 3 refused by trust, 4 not reachable, 5 missing or damaged, 6 can't mount here,
 * 7 offline where that was not to be (`--strict`).
 */
export type ErrorCode = keyof typeof errorFacts;

/** Every code, for tests that hold that each one is provoked somewhere. */
export const errorCodes = Object.keys(errorFacts) as readonly ErrorCode[];

/** An error that a user can meet: what happened, to what, and (in `advice`) what to do about it. */
export class PinfsError extends Error {
  readonly code: ErrorCode;
  readonly advice: string | undefined;
  /** The same may be fine when it is asked for again: the doing of a network or of a busy server. */
  readonly passing: boolean;

  constructor(
    code: ErrorCode,
    message: string,
    options: { advice?: string | undefined; cause?: unknown; passing?: boolean } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'PinfsError';
    this.code = code;
    this.advice = options.advice;
    this.passing = options.passing ?? false;
  }

  /** The exit code of a command that ends with this error. */
  get exit(): number {
    return exitOf(this.code);
  }
}

/** The exit code of a command that ends with this error. */
export function exitOf(code: ErrorCode): number {
  return errorFacts[code].exit;
}

// What is damaged stays so; what is not reachable may be fine tomorrow.
const exitsByWeight: readonly number[] = [0, 1, 6, 2, 7, 4, 5, 3];

/** The exit code of a command that goes on after a failure, and has met two. */
export function worseExit(one: number, other: number): number {
  return exitsByWeight.indexOf(one) >= exitsByWeight.indexOf(other) ? one : other;
}

/**
 * Any thrown value as a PinfsError: a fault of this machine by its name; what is none is a fault of our
 * own (INTERNAL).
 */
export function asPinfsError(thrown: unknown): PinfsError {
  if (thrown instanceof PinfsError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return machineFault(thrown) ?? new PinfsError('INTERNAL', message, { cause: thrown });
}

/**
 * What this machine does not give: descriptors, memory, a native module. It says nothing about servers,
 * objects or signatures, wherever it comes up; undefined for anything else.
 */
export function machineFault(thrown: unknown): PinfsError | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const code = errorCode(thrown);
  const { message } = thrown;
  const fault = (name: ErrorCode, text: string, advice: string): PinfsError =>
    new PinfsError(name, text, { advice, cause: thrown });
  // The loader of native modules puts it into words.
  if (code === 'EMFILE' || /too many open files$/i.test(message)) {
    const advice = 'Raise the limit: ulimit -n 1024, or LimitNOFILE= of the service.';
    return fault('FILES_EXHAUSTED', 'this process may open no more files (EMFILE)', advice);
  }
  if (code === 'ENFILE') {
    const advice = 'Raise fs.file-max (sysctl), or end what holds so many open.';
    return fault('FILES_EXHAUSTED', 'this machine can open no more files (ENFILE)', advice);
  }
  if (memoryCodes.has(code) || memoryWords.test(message)) {
    return fault('MEMORY_LIMITED', `this machine gives no more memory: ${message}`, memoryAdvice);
  }
  if (moduleCodes.has(code) || /could not locate the bindings file/i.test(message)) {
    const text = `a package does not load: ${message.replaceAll(/\s+/g, ' ').slice(0, 300)}`;
    return fault('MODULE_UNUSABLE', text, moduleAdvice(message));
  }
  return undefined;
}

const memoryCodes: ReadonlySet<unknown> = new Set([
  'ENOMEM',
  'SQLITE_NOMEM',
  'ERR_WORKER_OUT_OF_MEMORY',
  'ERR_WORKER_INIT_FAILED',
  'ERR_MEMORY_ALLOCATION_FAILED',
]);

const memoryWords =
  /^WebAssembly\..*memory|allocation failed|failed to map segment|: cannot allocate memory$/i;

const memoryAdvice =
  "Raise the limit (ulimit -v, or what the batch system gives). Where it can't be raised: NODE_OPTIONS=--disable-wasm-trap-handler.";

const moduleCodes: ReadonlySet<unknown> = new Set([
  'ERR_DLOPEN_FAILED',
  'ERR_MODULE_NOT_FOUND',
  'MODULE_NOT_FOUND',
]);

function moduleAdvice(message: string): string {
  const library = /\b(lib[\w.+-]+\.so[\d.]*): cannot open shared object file/.exec(message)?.[1];
  const name = /node_modules\/((?:@[\w.-]+\/)?[\w.-]+)/.exec(message)?.[1];
  const mend =
    library === undefined
      ? `Build it for this Node: npm rebuild ${name ?? ''}`.trimEnd() +
        ' (needs build-essential and python3), or npm ci where it is not there at all.'
      : `Install the package that has ${library}.`;
  return `${mend} 'pinfs doctor' says more.`;
}

const machineFaults: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'MEMORY_LIMITED',
  'FILES_EXHAUSTED',
  'MODULE_UNUSABLE',
]);

/** Whether an error is a fault of this machine, which says nothing about what was asked for. */
export function isMachineFault({ code }: PinfsError): boolean {
  return machineFaults.has(code);
}

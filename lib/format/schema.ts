import { createRequire } from 'node:module';
import type * as schemas from 'valibot';

/*
 * JSON from outside: state files, control messages, attestations. What it must be is declared with the schema
 * library; nothing of it is believed because a type says so. Who reads bounds the bytes before.
 */

export type SchemaLibrary = typeof schemas;
type Schema = schemas.GenericSchema;

let library: SchemaLibrary | undefined;

/** Loads the library, if it isn't yet. It takes some 10 ms, and most commands decode nothing: so only here. */
export function loadSchemas(): SchemaLibrary {
  return (library ??= createRequire(import.meta.url)('valibot') as SchemaLibrary);
}

/** What a value is as its schema has it, without fields that are not known; undefined: it is something else. */
export type Decoder<T> = (value: unknown) => T | undefined;

/** Makes a decoder; `declare` is called when something is decoded first. */
export function decoder<const S extends Schema>(
  declare: (v: SchemaLibrary) => S,
): Decoder<schemas.InferOutput<S>> {
  const run = lazily(declare);
  return (value) => {
    const result = run(value);
    return result.success ? result.output : undefined;
  };
}

/** The same where people are told what is wrong: the error is made from the message that the schema has for it. */
export function strictDecoder<const S extends Schema>(
  declare: (v: SchemaLibrary) => S,
  refuse: (what: string) => Error,
): (value: unknown) => schemas.InferOutput<S> {
  const run = lazily(declare);
  return (value) => {
    const result = run(value);
    if (result.success) return result.output;
    throw refuse(result.issues[0].message);
  };
}

function lazily<const S extends Schema>(
  declare: (v: SchemaLibrary) => S,
): (value: unknown) => schemas.SafeParseResult<S> {
  let schema: S | undefined;
  return (value) => {
    const v = loadSchemas();
    schema ??= declare(v);
    // One fault is enough, of however many a stranger made.
    return v.safeParse(schema, value, { abortEarly: true });
  };
}

/** The value of a JSON text; undefined: it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** A field of parsed JSON; undefined where the value is no object, or has no field of that name. */
export function jsonField(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.getOwnPropertyDescriptor(value, name)?.value as unknown;
}

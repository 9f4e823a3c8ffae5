import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { checkout } from './genuine.js';

/** A JSON Schema, as far as the tests look into it. */
export interface Schema {
  readonly $id?: string;
  readonly $ref?: string;
  readonly deprecated?: boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | false;
  readonly unevaluatedProperties?: false;
  readonly items?: Schema;
  readonly [keyword: string]: unknown;
}

const folder = join(checkout, 'share', 'schema');

/** What is installed in share/schema, by the name of the file without its ending. */
export const schemas: ReadonlyMap<string, Schema> = new Map(
  readdirSync(folder).map((file) => [
    file.replace(/\.json$/, ''),
    JSON.parse(readFileSync(join(folder, file), 'utf8')) as Schema,
  ]),
);

/**
 * What is wrong with the output of a command by its schema, one line each. Those are open, since programs must bear what
 * a later version adds; here every key has to stand in them.
 */
export function schemaProblems(name: string, value: unknown): string[] {
  const validate = closed.getSchema(`${name}.json`);
  if (validate === undefined) return [`there is no share/schema/${name}.json`];
  if (validate(value) === true) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message = '', params }) =>
      `${name}${instancePath} ${message} ${JSON.stringify(params)}`,
  );
}

const closed = new Ajv2020({ allErrors: true, strictTypes: false });
for (const schema of schemas.values()) closed.addSchema(close(schema));

/** No key beside those that stand there; where schemas are put together, none beside those of all. */
function close(schema: Schema, isPart = false): Schema {
  const { properties, items, additionalProperties, $defs } = schema;
  const inside = (part: unknown): Schema => close(part as Schema);
  const together = Object.entries(schema).filter(([key]) => /^(any|all|one)Of$/.test(key));
  return {
    ...schema,
    ...(properties === undefined ? {} : { properties: each(properties, inside) }),
    ...(items === undefined ? {} : { items: inside(items) }),
    ...(additionalProperties ? { additionalProperties: inside(additionalProperties) } : {}),
    ...($defs === undefined ? {} : { $defs: each($defs as Record<string, Schema>, inside) }),
    ...Object.fromEntries(
      together.map(([key, parts]) => [key, (parts as Schema[]).map((part) => close(part, true))]),
    ),
    ...(properties === undefined || isPart ? {} : { unevaluatedProperties: false }),
  };
}

function each(
  parts: Readonly<Record<string, Schema>>,
  change: (part: Schema) => Schema,
): Record<string, Schema> {
  return Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, change(part)]));
}

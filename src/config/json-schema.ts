import { z } from "zod";
import type { Unit } from "./leaf.ts";
import type { KeyPath } from "./rules.ts";
import { configSchema } from "./schema.ts";

/** The part of JSON Schema (2020-12) that the config's schema uses. */
export interface SchemaNode {
  readonly type?: "object" | "array" | "string" | "integer" | "boolean";
  readonly description?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly items?: SchemaNode;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly "x-unit"?: Unit;
}

let made: SchemaNode | undefined;

/**
 * JSON Schema of the config file, for editors and other checkers: every key with its limits, default and meaning. Made
 * when first asked for: a node with a good config never needs it (docs/performance.md "Memory").
 */
export function configJsonSchema(): SchemaNode {
  made ??= {
    title: "ut config",
    ...z.toJSONSchema(configSchema, { io: "input" }),
    // "One of role and roles" is a rule over keys, which zod keeps as a function.
    oneOf: [{ required: ["role"] }, { required: ["roles"] }],
  } as SchemaNode;
  return made;
}

/** The schema of the value at a path, or undefined for a path that no config has. */
export function schemaAt(path: KeyPath): SchemaNode | undefined {
  let node: SchemaNode | undefined = configJsonSchema();
  for (const key of path) {
    if (typeof key === "number") node = node?.items;
    else node = node?.properties && Object.hasOwn(node.properties, key) ? node.properties[key] : undefined;
  }
  return node;
}

/** Every key of a schema, sections before their own keys. */
export function keyPaths(node: SchemaNode = configJsonSchema(), path: readonly string[] = []): readonly string[][] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => [
    [...path, key],
    ...keyPaths(child, [...path, key]),
  ]);
}

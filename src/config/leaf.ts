import { z } from "zod";
import { type Endpoint, parseEndpoint } from "../core/net/endpoint.ts";
import { ipScope } from "../core/net/ip.ts";
import { type Address, type AddressUse, formatAddress, readAddress } from "./address.ts";

/**
 * The kinds of value that keys have. Every message a leaf raises is the text that follows "expected …", so that a
 * problem reads the same whichever of its checks found it.
 */

/** A measure that a number is in; JSON Schema carries it as `x-unit`, suggestions read `16KiB` or `2m` by it. */
export type Unit = "bytes" | "seconds" | "milliseconds";

/** A whole number within limits, both included. */
export function integer(limits: { min: number; max: number; unit?: Unit }) {
  const { min, max, unit } = limits;
  const error = `a whole number${unit === undefined ? "" : ` of ${unit}`} from ${min} to ${max}`;
  const leaf = z.int({ error }).min(min, { error }).max(max, { error });
  return unit === undefined ? leaf : leaf.meta({ "x-unit": unit });
}

/** `true` or `false`. */
export function flag() {
  return z.boolean({ error: "true or false" });
}

/** One of a few words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, { error: listWords(words) });
}

/** `host:port` text, parsed to an `Address`. `example` is a value of its kind that makes sense. */
export function address(use: AddressUse, example: string) {
  return z
    .string({ error: `host:port such as "${example}"` })
    .meta({ examples: [example] })
    .transform((text, context) => {
      const reading = readAddress(text, use, example);
      if (reading.ok) return reading.address;
      const { expected: message, suggestion } = reading;
      context.addIssue({ code: "custom", message, params: { suggestion } });
      return z.NEVER;
    });
}

/** One `host:port` or a list of them, each once, parsed to a list. Of no more than `max`. */
export function addresses(use: AddressUse, example: string, max: number) {
  const one = `host:port such as "${example}"`;
  const some = `one to ${max} of ${one}`;
  const error = ({ input }: { input?: unknown }) => (Array.isArray(input) ? some : one);
  return z
    .union([z.string(), z.array(z.string()).min(1, some).max(max, some)], { error })
    .meta({ examples: [example] })
    .transform((given, context): readonly Address[] => {
      const texts = typeof given === "string" ? [given] : given;
      const known = new Set<string>();
      return texts.flatMap((text, index) => {
        const path = typeof given === "string" ? [] : [index];
        const reading = readAddress(text, use, example);
        if (!reading.ok) {
          const { expected: message, suggestion } = reading;
          context.addIssue({ code: "custom", path, message, params: { suggestion } });
          return [];
        }
        const name = formatAddress(reading.address);
        if (known.has(name)) context.addIssue({ code: "custom", path, message: "each address once" });
        known.add(name);
        return [reading.address];
      });
    });
}

/** The address of one UDP end, parsed to an `Endpoint`: an IP address of a host, never a name, and a port that is one. */
export function endpoint(example: string) {
  const error = `an IP address with a port such as "${example}"`;
  return z
    .string({ error })
    .meta({ examples: [example] })
    .transform((text, context): Endpoint => {
      const parsed = parseEndpoint(text);
      if (parsed !== undefined && parsed.port > 0 && !/^(unspecified|multicast)$/.test(ipScope(parsed.address)))
        return parsed;
      context.addIssue({ code: "custom", message: error });
      return z.NEVER;
    });
}

/** The CN of a certificate (DESIGN "TLS"): who a node is. */
export function commonName() {
  const error = "a certificate name of 1 to 64 letters, digits, dots and hyphens";
  return z
    .string({ error })
    .regex(/^[A-Za-z0-9.-]{1,64}$/, { error })
    .meta({ examples: ["home"] });
}

/** The name of a service that an agent offers and a relay asks for. */
export function serviceName() {
  const error = "a service name of 1 to 64 letters, digits, dots, hyphens and underscores";
  return z
    .string({ error })
    .regex(/^[\w.-]{1,64}$/, { error })
    .meta({ examples: ["wireguard"] });
}

/** The path of a PEM file. Resolved against the config file's folder, with `~/` expanded, when the file is loaded. */
export function pemPath(example: string) {
  const error = "the path of a PEM file, absolute, relative to this file, or from ~/";
  return z
    .string({ error })
    .min(1, { error })
    .regex(/^(?!~[^/])(?!-----BEGIN)[^\0\n]*$/, { error })
    .meta({ examples: [example] });
}

/** A section or the whole file: known keys only. */
export function mapping<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, { error: "a mapping of keys to values" });
}

/** `a, b or c`. */
export function listWords(words: readonly string[]): string {
  return words.length < 2 ? (words[0] ?? "") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

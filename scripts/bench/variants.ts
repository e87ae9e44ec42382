import { parse } from "yaml";
import { overlay, type UtConfig } from "../../test/lab/ut-tunnel.ts";

/** What carries the traffic of one row: straight UDP, or `ut` with these settings over its defaults. */
export type Variant = { name: string; tunnel: "straight" } | UtVariant;

export interface UtVariant {
  name: string;
  tunnel: "ut";
  client: UtConfig;
  server: UtConfig;
}

export interface VariantFlags {
  /** `CLIENT/SERVER` pairs of tcp.congestion; an end written `default` keeps its own. */
  ends: readonly string[];
  /** `key.path=value`, for both ends or one. */
  set: readonly string[];
  setClient: readonly string[];
  setServer: readonly string[];
  /** `key.path=value,value,…`: one variant for each value; several: every combination. */
  vary: readonly string[];
}

/** Straight UDP first, then `ut` in every combination that the flags ask for. */
export function chooseVariants(flags: VariantFlags, straight: boolean): Variant[] {
  const both = flags.set.reduce((config, text) => overlay(config, setting(text)), {} as UtConfig);
  const client = flags.setClient.reduce((config, text) => overlay(config, setting(text)), both);
  const server = flags.setServer.reduce((config, text) => overlay(config, setting(text)), both);
  const variants: Variant[] = straight ? [{ name: "straight UDP", tunnel: "straight" }] : [];
  for (const varied of combinations(flags.vary)) {
    const config = varied.reduce((sum, text) => overlay(sum, setting(text)), {} as UtConfig);
    for (const pair of flags.ends) {
      const [atClient, atServer] = endsOf(pair);
      variants.push({
        name: [`ut ${pair}`, ...varied.map((text) => text.replace(/^.*\./, ""))].join(" "),
        tunnel: "ut",
        client: overlay(overlay(client, config), atClient),
        server: overlay(overlay(server, config), atServer),
      });
    }
  }
  return variants;
}

function endsOf(pair: string): [UtConfig, UtConfig] {
  const [client, server] = pair.split("/");
  if (!client || !server) throw new Error(`Cannot use --ends ${pair}: expected CLIENT/SERVER, such as cubic/bbr`);
  const end = (value: string): UtConfig => (value === "default" ? {} : { tcp: { congestion: value } });
  return [end(client), end(server)];
}

/** `tcp.lanes=3` as a config with that one leaf; the value is read as YAML. */
function setting(text: string): UtConfig {
  const equals = text.indexOf("=");
  if (equals < 1) throw new Error(`Cannot use the setting ${text}: expected key.path=value`);
  const value: unknown = parse(text.slice(equals + 1));
  return text
    .slice(0, equals)
    .split(".")
    .reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as UtConfig;
}

/** `["a=1,2", "b=3,4"]` as `[["a=1","b=3"], ["a=1","b=4"], …]`. */
function combinations(vary: readonly string[]): string[][] {
  return vary.reduce<string[][]>(
    (sets, text) => {
      const [key = "", values = ""] = text.split("=", 2);
      return sets.flatMap((set) => values.split(",").map((value) => [...set, `${key}=${value}`]));
    },
    [[]],
  );
}

import { stringify } from "yaml";
import { type Endpoint, formatEndpoint } from "../core/net/endpoint.ts";
import { type Address, formatAddress } from "./address.ts";
import { formatProxy, type HttpProxy } from "./proxy.ts";
import type { Config } from "./schema.ts";

/**
 * A config as it would stand in a file, every default spelt out: addresses as text, keys and order as in the schema.
 * Passwords are not shown.
 */
export function plainConfig(config: Config): Record<string, unknown> {
  const users = Object.fromEntries(Object.keys(config.socks.users).map((user) => [user, "***"]));
  return plain({ ...config, socks: { ...config.socks, users } }) as Record<string, unknown>;
}

/** `plainConfig` as YAML. `parseConfig` reads the same config back from it, but for passwords. */
export function formatConfig(config: Config): string {
  return stringify(plainConfig(config), { lineWidth: 0 });
}

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  if (isAddress(value)) return formatAddress(value);
  if (isProxy(value)) return formatProxy(value);
  if (isEndpoint(value)) return formatEndpoint(value);
  const stated = Object.entries(value).filter(([, child]) => child !== undefined);
  return Object.fromEntries(stated.map(([key, child]) => [key, plain(child)]));
}

function isAddress(value: object): value is Address {
  return "host" in value && "port" in value && Object.keys(value).length === 2;
}

function isProxy(value: object): value is HttpProxy {
  return "host" in value && "port" in value && "credentials" in value;
}

function isEndpoint(value: object): value is Endpoint {
  return "address" in value && "port" in value && Object.keys(value).length === 2;
}

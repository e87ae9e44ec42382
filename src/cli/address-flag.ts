import { type Address, parseAddress } from "../config/address.ts";
import { type ParsedFlags, stringFlag } from "./command.ts";

/** A flag that names where to listen, or undefined without it. Throws `usage.bad-value`. */
export function addressFlag(flags: ParsedFlags, name: string): Address | undefined {
  const text = stringFlag(flags, name);
  return text === undefined ? undefined : parseAddress(text, "listen");
}

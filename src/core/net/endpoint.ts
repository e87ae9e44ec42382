import { canonicalIp } from "./ip.ts";

/** One end of UDP traffic. `address` is an IP address in canonical text (`canonicalIp`), never a name. */
export interface Endpoint {
  readonly address: string;
  /** 0 to 65535. */
  readonly port: number;
}

export function sameEndpoint(one: Endpoint, other: Endpoint): boolean {
  return one.port === other.port && one.address === other.address;
}

/** `203.0.113.7:3478` or `[2001:db8::1]:3478`; unique, so it serves as a key of maps. */
export function formatEndpoint({ address, port }: Endpoint): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Reads what `formatEndpoint` writes; undefined for anything else. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const parts = /^(?:\[([^\]]*:[^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const address = canonicalIp(parts?.[1] ?? parts?.[2] ?? "");
  const port = Number(parts?.[3]);
  return address === undefined || port > 65_535 ? undefined : { address, port };
}

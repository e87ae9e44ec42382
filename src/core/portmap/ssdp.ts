/**
 * SSDP, the search part of the UPnP Device Architecture 1.1 (UDA §1.3): one datagram asks, every device that has what
 * is searched for answers from its own address. Announcements (NOTIFY) are left out: a gateway is asked when wanted.
 */
export const SSDP_GROUP = "239.255.255.250";
export const SSDP_PORT = 1900;

/**
 * What to search for. Gateways answer a search for what they are, but not all to all of it: v2 ones should answer to
 * v1, old ones know only their service, and some only the root device.
 */
export const SEARCH_TARGETS = [
  "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
  "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
  "urn:schemas-upnp-org:service:WANIPConnection:2",
  "urn:schemas-upnp-org:service:WANIPConnection:1",
  "urn:schemas-upnp-org:service:WANPPPConnection:1",
  "upnp:rootdevice",
] as const;

/** A device draws its delay from this many seconds; 1 is the least that UDA allows. */
const MX_SECONDS = 1;

/** Far more than any answer of a real device. */
export const MAX_ANSWER_BYTES = 4096;

export type SsdpAnswer =
  | { readonly ok: true; readonly target: string; readonly location: string }
  | { readonly ok: false; readonly kind: "too-long" | "not-an-answer" | "no-location" };

/** A search, to be sent to `host` (the group or one device) at `SSDP_PORT`. */
export function encodeSearch(target: string, host: string): Uint8Array {
  const lines = [
    "M-SEARCH * HTTP/1.1",
    `HOST: ${host}:${SSDP_PORT}`,
    'MAN: "ssdp:discover"',
    // UDA §1.3.2: a search to one device has no MX, it is answered at once.
    ...(host === SSDP_GROUP ? [`MX: ${MX_SECONDS}`] : []),
    `ST: ${target}`,
  ];
  return new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`);
}

/** Reads an answer to a search; names of headers in any case, lines with or without CR, as devices write them. */
export function decodeSearchAnswer(bytes: Uint8Array): SsdpAnswer {
  if (bytes.length > MAX_ANSWER_BYTES) return { ok: false, kind: "too-long" };
  const [status = "", ...lines] = new TextDecoder().decode(bytes).split(/\r?\n/);
  if (!/^HTTP\/1\.\d 200\b/.test(status)) return { ok: false, kind: "not-an-answer" };
  const location = headerOf(lines, "location");
  if (location === undefined || location === "") return { ok: false, kind: "no-location" };
  return { ok: true, target: headerOf(lines, "st") ?? "", location };
}

function headerOf(lines: readonly string[], name: string): string | undefined {
  const line = lines.find((one) => one.slice(0, name.length + 1).toLowerCase() === `${name}:`);
  return line?.slice(name.length + 1).trim();
}

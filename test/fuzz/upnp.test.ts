import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseGatewayUrl } from "../../src/core/portmap/gateway-url.ts";
import type { GatewayRequest, GatewayResult } from "../../src/core/portmap/protocol.ts";
import { decodeAnswer } from "../../src/core/portmap/soap.ts";
import { decodeSearchAnswer } from "../../src/core/portmap/ssdp.ts";
import { LAST_ANSWER_MS, MAP_LIMIT_MS, UNMAP_LIMIT_MS, UpnpClient } from "../../src/core/portmap/upnp.ts";
import { parseDescription } from "../../src/core/portmap/upnp-description.ts";
import { escapeXml, parseXml, XML_LIMITS, type XmlElement } from "../../src/core/portmap/xml.ts";
import { utf8 } from "../bytes.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";

const GATEWAY = "192.168.1.254";
const LOCATION = { port: 5000, path: "/desc.xml" };
const RUNS = 250;

const DESCRIPTIONS = ["miniupnpd-igd2.xml", "fritzbox.xml", "urlbase.xml"].map((name) =>
  readFileSync(join(import.meta.dir, "../vectors/upnp", name), "utf8"),
);
const FAULT = `<s:Envelope><s:Body><s:Fault><detail><UPnPError><errorCode>718</errorCode><errorDescription>no</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>`;
const SUCCESS = `<s:Envelope><s:Body><u:XResponse><NewA>1</NewA><NewB>&lt;</NewB></u:XResponse></s:Body></s:Envelope>`;
const ANSWER = "HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nLOCATION: http://192.168.1.254:5000/desc.xml\r\n\r\n";
/** What parsers trip over. */
const PIECES = [
  ...["<", ">", "</", "/>", "<!--", "-->", "<![CDATA[", "]]>", "<?", "?>", "<!DOCTYPE a [", "<a>", "</a>"],
  ...["&", "&#", "&#x", ";", '"', "'", "=", ":", "\0", "\r\n", "\ufffd", "\ud800"],
  ...["http://192.0.2.9/", "//", "@", "__proto__"],
];

/** `text` with some of it cut, doubled, moved or replaced. */
function mutate(random: Random, text: string): string {
  let mutated = text;
  for (let edits = random.between(1, 6); edits > 0; edits--) {
    const at = random.below(mutated.length + 1);
    const end = Math.min(mutated.length, at + random.below(random.oneIn(4) ? 400 : 8));
    const piece = random.oneIn(3) ? mutated.slice(at, end).repeat(random.below(40)) : random.pick(PIECES);
    mutated = mutated.slice(0, at) + piece + mutated.slice(random.oneIn(2) ? at : end);
  }
  return mutated;
}

function count(element: XmlElement): { elements: number; depth: number } {
  const below = element.children.map(count);
  return {
    elements: below.reduce((sum, { elements }) => sum + elements, 1),
    depth: below.reduce((most, { depth }) => Math.max(most, depth), 0) + 1,
  };
}

function fuzz(name: string, run: (random: Random) => void): void {
  test(
    name,
    () => {
      for (const seed of fuzzSeeds(name, RUNS)) {
        try {
          run(new Random(seed));
        } catch (cause) {
          throw new Error(`seed ${seed}`, { cause });
        }
      }
    },
    SLOW_MACHINE_MS,
  );
}

fuzz("UPnP descriptions: no error, services on the gateway only, within the limits", (random) => {
  const text = mutate(random, random.pick(DESCRIPTIONS));
  const description = parseDescription(text, GATEWAY, LOCATION);
  if (description.ok) {
    for (const { control, version } of description.services) {
      expect(control.path).toMatch(/^\/[!-~]*$/);
      expect(Number.isInteger(control.port) && Number.isInteger(version)).toBe(true);
    }
  }
  const xml = parseXml(text);
  if (!xml.ok) return;
  const { elements, depth } = count(xml.root);
  expect(elements).toBeLessThanOrEqual(XML_LIMITS.elements);
  expect(depth).toBeLessThanOrEqual(XML_LIMITS.depth);
});

fuzz("XML: what was written is what is read", (random) => {
  const write = (depth: number): XmlElement => {
    const children = Array.from({ length: depth > 5 ? 0 : random.below(4) }, () => write(depth + 1));
    const text = Array.from({ length: random.below(6) }, () => random.pick([...PIECES, "a", "é"])).join("");
    return { name: random.pick(["a", "b-c", "serviceType"]), text: text.trim(), children };
  };
  const format = ({ name, text, children }: XmlElement): string =>
    `<x:${name} y="&gt;">${escapeXml(text)}${children.map(format).join("")}</x:${name}>`;
  const root = write(0);
  expect(parseXml(format(root))).toEqual({ ok: true, root });
});

fuzz("SOAP: no error, and a code is a code", (random) => {
  const answer = decodeAnswer("X", random.pick([200, 500, 302]), mutate(random, random.pick([FAULT, SUCCESS])));
  if (!answer.ok && answer.kind === "fault") {
    expect(answer.code > 0 && answer.code < 1_000).toBe(true);
    expect(answer.description).toMatch(/^[ -~]{0,80}$/);
  }
});

fuzz("SSDP: no error, and a location is read as it stands", (random) => {
  const bytes = random.oneIn(4) ? random.bytes(random.below(2_000)) : utf8(mutate(random, ANSWER));
  const answer = decodeSearchAnswer(bytes);
  if (answer.ok) expect(new TextDecoder().decode(bytes)).toContain(answer.location);
});

fuzz("URLs: none leaves the gateway", (random) => {
  const text = mutate(random, random.pick([`http://${GATEWAY}:5000/a`, "/a/b?c", "a", `http://x@${GATEWAY}/`]));
  const parsed = parseGatewayUrl(text, GATEWAY, LOCATION);
  if (!parsed.ok) return;
  expect(new URL(text, `http://${GATEWAY}:5000/desc.xml`).hostname).toBe(GATEWAY);
  expect(parsed.url.path).toMatch(/^\/[!-~]*$/);
});

/** A gateway that answers anything with anything, late, twice or never. */
fuzz("UPnP client: one end for each thing that is asked of it, in time, whatever the gateway does", (random) => {
  const client = new UpnpClient({
    random: (length) => random.bytes(length),
    gateway: GATEWAY,
    localAddress: "192.168.1.2",
    transport: "udp",
    internalPort: 6_000,
    externalPort: 7_000,
    leaseSeconds: 120,
    nonce: new Uint8Array(12),
    description: "ut",
  });
  let now = 0;
  for (let turn = random.between(1, 6); turn > 0; turn--) {
    const asks = random.pick(["map", "unmap"] as const);
    const limitMs = asks === "map" ? MAP_LIMIT_MS : LAST_ANSWER_MS + UNMAP_LIMIT_MS;
    const started = now;
    client[asks](now);
    const ends: string[] = [];
    const requests: GatewayRequest[] = [];
    while (ends.length === 0) {
      while (client.pollTransmit() !== undefined);
      for (let event = client.pollEvent(); event !== undefined; event = client.pollEvent()) {
        if (event.type === "request") requests.push(event.request);
        else ends.push(event.type);
      }
      const request = random.oneIn(20) ? undefined : requests.at(-1);
      const from = { address: random.oneIn(5) ? "192.168.1.3" : GATEWAY, port: 1900 };
      if (random.oneIn(3)) client.handleDatagram(now, { socket: 2, from, payload: utf8(somewhat(random, ANSWER)) });
      else if (request !== undefined) client.handleHttp(now, request.id, anyResult(random, request));
      now = Math.min(now + random.below(400), Math.max(now, client.nextTimeout()));
      client.handleTimeout(now);
    }
    expect(ends).toHaveLength(1);
    expect(ends[0]).toMatch(asks === "map" ? /^(mapped|failed)$/ : /^(unmapped|failed)$/);
    expect(now - started).toBeLessThanOrEqual(limitMs);
    expect(requests.length).toBeLessThanOrEqual(MAX_REQUESTS);
    expect(requests.filter(({ path }) => !path.startsWith("/"))).toEqual([]);
  }
});

/** A description of each of four places, the states of eight services, an address and six tries: twice at most. */
const MAX_REQUESTS = 2 * (4 + 8 + 1 + 6) + 5;

function anyResult(random: Random, { headers }: GatewayRequest): GatewayResult {
  if (random.oneIn(8))
    return { ok: false, kind: random.pick(["timeout", "unreachable", "too-large", "not-http"]), message: "" };
  const action = /#(\w+)"/.exec(headers.SOAPAction ?? "")?.[1];
  const code = random.pick([401, 402, 501, 606, 714, 718, 724, 725, 728]);
  const good =
    action === undefined ? random.pick(DESCRIPTIONS) : (SUCCESSES[action] ?? SUCCESS.replaceAll("XR", `${action}R`));
  const body = random.oneIn(4) ? FAULT.replace("718", String(code)) : good;
  return { ok: true, status: random.oneIn(9) ? 500 : 200, body: somewhat(random, body) };
}

const SUCCESSES: Readonly<Record<string, string>> = {
  GetExternalIPAddress: SUCCESS.replaceAll("XR", "GetExternalIPAddressR")
    .replaceAll("NewA", "NewExternalIPAddress")
    .replace(">1<", ">203.0.113.7<"),
  AddAnyPortMapping: SUCCESS.replaceAll("XR", "AddAnyPortMappingR").replaceAll("NewA", "NewReservedPort"),
};

/** Mostly as it is: a talk that never gets anywhere tells little. */
function somewhat(random: Random, text: string): string {
  return random.oneIn(4) ? mutate(random, text) : text;
}

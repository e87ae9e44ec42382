import { describe, expect, test } from "bun:test";
import {
  judgeMapping,
  type MappingVerdict,
  type Sighting,
  type Witness,
} from "../../../../src/core/nat/mapping-test.ts";
import { type Endpoint, parseEndpoint } from "../../../../src/core/net/endpoint.ts";

function endpoint(text: string): Endpoint {
  const parsed = parseEndpoint(text.includes(":") ? text : `${text}:3478`);
  if (parsed === undefined) throw new Error(`no endpoint: ${text}`);
  return parsed;
}

/** `"203.0.113.1>198.51.100.2:4000 203.0.113.2:3479>…"`: where it was asked, and what it saw. */
function witness(server: number, text: string): Witness {
  const sightings = text.split(" ").map((one): Sighting => {
    const [to = "", mapped = ""] = one.split(">");
    return { to: endpoint(to), mapped: endpoint(mapped) };
  });
  return { server, sightings: sightings as [Sighting, ...Sighting[]] };
}

/** Without the sets' order, and without what the row does not speak of. */
function judged(witnesses: readonly string[], pending = 0): string {
  const { mapping, dependent, trusted, contradicting, settled }: MappingVerdict = judgeMapping(
    witnesses.map((text, index) => witness(index, text)),
    pending,
  );
  const kind = dependent === null ? "unknown" : dependent ? "dependent" : "one for all";
  return `${kind}, ${mapping}, trusts ${[...trusted].join("") || "nobody"}, not ${[...contradicting].join("") || "nobody"}${settled ? "" : ", unsettled"}`;
}

const [S1, S2, S3, S4] = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"] as const;
const NAT = "198.51.100.2";
const EIM = "endpoint-independent";

describe("one server", () => {
  test.each([
    ["that does only Binding", `${S1}>${NAT}:4000`, "unknown, null"],
    ["with two ports, same", `${S1}>${NAT}:4000 ${S1}:3479>${NAT}:4000`, "one for all, null"],
    ["with two ports, different", `${S1}>${NAT}:4000 ${S1}:3479>${NAT}:4001`, "dependent, address-and-port-dependent"],
    ["with two addresses, same", `${S1}>${NAT}:4000 ${S2}>${NAT}:4000`, `one for all, ${EIM}`],
    ["with two addresses, different", `${S1}>${NAT}:4000 ${S2}>${NAT}:4001`, "dependent, null"],
    [
      "with two addresses and ports, by address",
      `${S1}>${NAT}:4000 ${S2}>${NAT}:4001 ${S2}:3479>${NAT}:4001`,
      "dependent, address-dependent",
    ],
    [
      "with two addresses and ports, by port",
      `${S1}>${NAT}:4000 ${S2}>${NAT}:4001 ${S2}:3479>${NAT}:4002`,
      "dependent, address-and-port-dependent",
    ],
  ])("%s", (_, saw, expected) => {
    expect(judged([saw])).toBe(`${expected}, trusts 0, not nobody`);
    expect(judged([saw], 1)).toBe(`${expected}, trusts 0, not nobody, unsettled`);
  });
});

describe("several", () => {
  const at = (server: string, port: number, address = NAT) => `${server}>${address}:${port}`;
  test.each([
    ["agree", [at(S1, 40), at(S2, 40)], `one for all, ${EIM}, trusts 01, not nobody`],
    ["one of three lies", [at(S1, 40), at(S2, 99, "192.0.2.1"), at(S3, 40)], `one for all, ${EIM}, trusts 02, not 1`],
    ["one of three lies about the port", [at(S1, 41), at(S2, 40), at(S3, 40)], `one for all, ${EIM}, trusts 12, not 0`],
    ["see different ports", [at(S1, 40), at(S2, 41), at(S3, 42)], "dependent, null, trusts 012, not nobody"],
    [
      "see different ports, and one lies",
      [at(S1, 40), at(S2, 41), at(S3, 42, "192.0.2.1")],
      "dependent, null, trusts 01, not 2",
    ],
    [
      "see different addresses of one pool",
      [at(S1, 40), at(S2, 41, "198.51.100.3"), at(S3, 42, "198.51.100.4")],
      "dependent, null, trusts 012, not nobody",
    ],
    ["two contradict each other", [at(S1, 40), at(S2, 40, "192.0.2.1")], "unknown, null, trusts nobody, not 01"],
    [
      "two ports of one address are one vote",
      [at(S1, 40), `${S1}:3479>${NAT}:41`],
      "dependent, address-and-port-dependent, trusts 01, not nobody",
    ],
    [
      "many ports of one address outvote nobody",
      [at(S1, 99, "192.0.2.1"), `${S1}:1>192.0.2.1:99`, `${S1}:2>192.0.2.1:99`, at(S2, 40), at(S3, 40)],
      `one for all, ${EIM}, trusts 34, not 012`,
    ],
    [
      "one with two addresses shows what depends",
      [at(S1, 40), `${S2}>${NAT}:41 ${S4}>${NAT}:42 ${S4}:3479>${NAT}:42`, at(S3, 43)],
      "dependent, address-dependent, trusts 012, not nobody",
    ],
  ])("%s", (_, saw, expected) => expect(judged(saw)).toBe(expected));

  test.each([
    ["two of three agree", [at(S1, 40), at(S2, 40)], 1, `one for all, ${EIM}, trusts 01, not nobody`],
    ["two of four agree", [at(S1, 40), at(S2, 40)], 2, `one for all, ${EIM}, trusts 01, not nobody, unsettled`],
    [
      "two of three differ, the third decides",
      [at(S1, 40), at(S2, 41)],
      1,
      "dependent, null, trusts 01, not nobody, unsettled",
    ],
    ["three of four differ", [at(S1, 40), at(S2, 41), at(S3, 42)], 1, "dependent, null, trusts 012, not nobody"],
    ["nobody yet", [], 3, "unknown, null, trusts nobody, not nobody, unsettled"],
  ])("while others are silent: %s", (_, saw, pending, expected) => expect(judged(saw, pending)).toBe(expected));
});

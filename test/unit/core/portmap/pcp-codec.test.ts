import { describe, expect, test } from "bun:test";
import { decodePcpAnswer, encodeAnnounceRequest, encodeMapRequest } from "../../../../src/core/portmap/pcp-codec.ts";
import { hex } from "../../../bytes.ts";

const NONCE = hex("000102030405060708090a0b");
const CLIENT = "00000000000000000000ffff 0a01000b";
const request = {
  lifetimeSeconds: 7_200,
  clientAddress: "10.1.0.11",
  nonce: NONCE,
  transport: "udp",
  internalPort: 51_820,
  external: { port: 40_000 },
} as const;
/** Figure 3 of RFC 6887 and figure 10 behind it, from a gateway that gave 203.0.113.7:40001 for an hour. */
const SUCCESS = `02 81 00 00 00000e10 00012345 000000000000000000000000
  000102030405060708090a0b 11 000000 ca6c 9c41 00000000000000000000ffff cb007107`;
const header = { result: 0, lifetimeSeconds: 3_600, epochSeconds: 0x12345 };
const mapping = {
  nonce: NONCE,
  transport: "udp",
  internalPort: 51_820,
  external: { address: "203.0.113.7", port: 40_001 },
};

describe("MAP requests", () => {
  test.each([
    [
      "a wish for a port leaves the address to the gateway",
      request,
      `02 01 0000 00001c20 ${CLIENT} 000102030405060708090a0b 11 000000 ca6c 9c40 00000000000000000000ffff 00000000`,
    ],
    [
      "the external address of before is wished for again",
      { ...request, transport: "tcp", external: { address: "203.0.113.7", port: 1 } },
      `02 01 0000 00001c20 ${CLIENT} 000102030405060708090a0b 06 000000 ca6c 0001 00000000000000000000ffff cb007107`,
    ],
    [
      "no wish at all, and the end of the mapping",
      { ...request, lifetimeSeconds: 0, external: undefined },
      `02 01 0000 00000000 ${CLIENT} 000102030405060708090a0b 11 000000 ca6c 0000 00000000000000000000ffff 00000000`,
    ],
    [
      "IPv6 asks for IPv6",
      { ...request, clientAddress: "2001:db8::b", external: { port: 0 } },
      `02 01 0000 00001c20 20010db800000000000000000000000b 000102030405060708090a0b 11 000000 ca6c 0000 ${"00".repeat(16)}`,
    ],
  ] as const)("%s", (_name, given, bytes) => expect(encodeMapRequest(given)).toEqual(hex(bytes)));
});

test("an ANNOUNCE request is a header and nothing else", () => {
  expect(encodeAnnounceRequest("10.1.0.11")).toEqual(hex(`02 00 0000 00000000 ${CLIENT}`));
});

describe("answers", () => {
  test.each([
    ["a mapping", SUCCESS, { type: "map", mapping, ...header }],
    ["with options behind it, which are not read", `${SUCCESS} 01000000`, { type: "map", mapping, ...header }],
    [
      "a refusal repeats the request",
      SUCCESS.replace("02 81 00 00 00000e10", "02 81 00 02 00000708"),
      { type: "map", mapping, result: 2, lifetimeSeconds: 1_800, epochSeconds: 0x12345 },
    ],
    [
      "a refusal of what could not be read does not",
      "02 81 00 03 00000708 00012345 000000000000000000000000",
      { type: "map", mapping: undefined, result: 3, lifetimeSeconds: 1_800, epochSeconds: 0x12345 },
    ],
    [
      "an address of IPv6",
      SUCCESS.replace("00000000000000000000ffff cb007107", "20010db8000000000000000000000001"),
      { type: "map", mapping: { ...mapping, external: { address: "2001:db8::1", port: 40_001 } }, ...header },
    ],
    [
      "a protocol that is neither UDP nor TCP",
      SUCCESS.replace("0b 11", "0b 84"),
      { type: "map", mapping: { ...mapping, transport: undefined }, ...header },
    ],
    [
      "an announcement",
      "02 80 00 00 00000000 00000005 000000000000000000000000",
      { type: "announce", result: 0, lifetimeSeconds: 0, epochSeconds: 5 },
    ],
    ["NAT-PMP's word for a wrong version", "00 81 0001 00012345", { type: "other-version", version: 0, isError: true }],
    ["an answer to somebody's NAT-PMP", "00 80 0000", { type: "other-version", version: 0, isError: false }],
    ["of the draft's version", "01 81 00 01 00000000", { type: "other-version", version: 1, isError: true }],
  ])("%s", (_name, bytes, answer) =>
    expect(decodePcpAnswer(hex(bytes))).toEqual({ ok: true, answer } as ReturnType<typeof decodePcpAnswer>),
  );

  test.each([
    ["nothing", "", "bad-length"],
    ["three bytes", "02 81 00", "bad-length"],
    ["less than a header", "02 81 00 00 00000e10 00012345", "bad-length"],
    ["a success without its mapping", SUCCESS.slice(0, 52), "bad-length"],
    ["no whole words", `${SUCCESS} 00`, "bad-length"],
    ["more than 1,100 bytes", `${SUCCESS} ${"00".repeat(1_044)}`, "bad-length"],
    ["a request", SUCCESS.replace("02 81", "02 01"), "not-an-answer"],
    ["an answer to PEER", SUCCESS.replace("02 81", "02 82"), "unknown-opcode"],
  ] as const)("%s is none", (_name, bytes, kind) => expect(decodePcpAnswer(hex(bytes))).toEqual({ ok: false, kind }));
});

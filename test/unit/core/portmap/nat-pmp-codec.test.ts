import { describe, expect, test } from "bun:test";
import {
  decodeNatPmpAnswer,
  encodeAddressRequest,
  encodeNatPmpMapRequest,
} from "../../../../src/core/portmap/nat-pmp-codec.ts";
import { hex } from "../../../bytes.ts";

describe("requests", () => {
  test("for the external address", () => expect(encodeAddressRequest()).toEqual(hex("0000")));

  test.each([
    ["udp", 40_000, 7_200, "00 01 0000 ca6c 9c40 00001c20"],
    ["tcp", 40_000, 7_200, "00 02 0000 ca6c 9c40 00001c20"],
    ["udp", 0, 0, "00 01 0000 ca6c 0000 00000000"],
  ] as const)("for a mapping: %s, external %d, %d s", (transport, externalPort, lifetimeSeconds, bytes) =>
    expect(encodeNatPmpMapRequest({ transport, internalPort: 51_820, externalPort, lifetimeSeconds })).toEqual(
      hex(bytes),
    ),
  );
});

describe("answers", () => {
  const zeros = { internalPort: 0, externalPort: 0, lifetimeSeconds: 0 };

  test.each([
    [
      "the external address",
      "00 80 0000 00012345 cb007107",
      { type: "address", result: 0, epochSeconds: 0x12345, address: "203.0.113.7" },
    ],
    [
      "none while the line is down",
      "00 80 0003 00012345 cb007107",
      { type: "address", result: 3, epochSeconds: 0x12345, address: "0.0.0.0" },
    ],
    [
      "a mapping",
      "00 81 0000 00012345 ca6c 9c41 00000e10",
      {
        type: "map",
        transport: "udp",
        result: 0,
        epochSeconds: 0x12345,
        internalPort: 51_820,
        externalPort: 40_001,
        lifetimeSeconds: 3_600,
      },
    ],
    [
      "a mapping of TCP, with bytes behind it",
      "00 82 0000 00012345 ca6c 9c41 00000e10 ff",
      {
        type: "map",
        transport: "tcp",
        result: 0,
        epochSeconds: 0x12345,
        internalPort: 51_820,
        externalPort: 40_001,
        lifetimeSeconds: 3_600,
      },
    ],
    [
      "a refusal, cut short",
      "00 81 0002 00012345",
      { type: "map", transport: "udp", result: 2, epochSeconds: 0x12345, ...zeros },
    ],
  ])("%s", (_name, bytes, answer) =>
    expect(decodeNatPmpAnswer(hex(bytes))).toEqual({ ok: true, answer } as ReturnType<typeof decodeNatPmpAnswer>),
  );

  test.each([
    ["nothing", "", "bad-length"],
    ["seven bytes", "00 81 0002 000123", "bad-length"],
    ["an address cut short", "00 80 0000 00012345 cb0071", "bad-length"],
    ["a mapping cut short", "00 81 0000 00012345 ca6c 9c41 00000e", "bad-length"],
    ["PCP", "02 81 0000 00012345", "other-version"],
    ["a request", "00 01 0000 ca6c 9c40 00001c20", "not-an-answer"],
    ["an opcode of nobody", "00 83 0000 00012345 ca6c 9c41 00000e10", "unknown-opcode"],
  ] as const)("%s is none", (_name, bytes, kind) =>
    expect(decodeNatPmpAnswer(hex(bytes))).toEqual({ ok: false, kind }),
  );
});

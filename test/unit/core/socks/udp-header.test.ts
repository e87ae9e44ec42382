import { expect, test } from "bun:test";
import { decodeAddressed, decodeUdp, encodeAddressed, encodeUdp } from "../../../../src/core/socks/udp-header.ts";
import { hex } from "../../../bytes.ts";

test.each([
  [{ host: "8.8.4.4", port: 53 }, "000000 01 08080404 0035 0102"],
  [{ host: "2001:db8::1", port: 53 }, `000000 04 20010db8${"00".repeat(11)}01 0035 0102`],
  [{ host: "dns.a", port: 53 }, "000000 03 05 646e732e61 0035 0102"],
])("%j", (destination, bytes) => {
  const payload = hex("0102");
  expect(encodeUdp(destination, payload)).toEqual(hex(bytes));
  expect(decodeUdp(hex(bytes))).toEqual({ ok: true, destination, payload });
  // Between socks and agent: the same without its first three bytes.
  expect(encodeAddressed(destination, payload)).toEqual(hex(bytes).slice(3));
  expect(decodeAddressed(hex(bytes).slice(3))).toEqual({ ok: true, destination, payload });
});

test("an empty datagram is one", () => {
  const reading = decodeUdp(hex("000000 01 08080404 0035"));
  expect(reading).toEqual({ ok: true, destination: { host: "8.8.4.4", port: 53 }, payload: new Uint8Array(0) });
});

test.each([
  ["", "malformed"],
  ["0000", "malformed"],
  ["000001 01 08080404 0035 01", "fragment"],
  ["000080 01 08080404 0035 01", "fragment"],
  ["0000ff", "fragment"],
  ["000000", "malformed"],
  ["000000 01 08080404 00", "malformed"],
  ["000000 03 ff 61", "malformed"],
  ["000000 03 00 0035", "malformed"],
  ["000000 02 08080404 0035", "address_type"],
] as const)("%p is none: %s", (bytes, kind) => expect(decodeUdp(hex(bytes))).toEqual({ ok: false, kind }));

import { expect, test } from "bun:test";
import { isWireGuardHandshake, wireGuardReceiver } from "../../../../src/core/tunnel/wireguard.ts";
import { cookieReply, initiation, response, transport, wgMessage } from "./wireguard-messages.ts";

test("handshakes are known by type, zeros and length", () => {
  expect([initiation(), response(), cookieReply()].map(isWireGuardHandshake)).toEqual([true, true, true]);
  const others = [
    new Uint8Array(0),
    Uint8Array.of(1, 0, 0),
    Uint8Array.of(1, 0, 0, 0),
    wgMessage(1, 147),
    wgMessage(1, 149),
    wgMessage(2, 148),
    wgMessage(3, 92),
    wgMessage(0, 148),
    wgMessage(4, 148),
    transport(1),
    wgMessage(1, 148).fill(1, 1, 2),
    wgMessage(1, 148).fill(1, 2, 3),
    wgMessage(1, 148).fill(1, 3, 4),
  ];
  expect(others.map(isWireGuardHandshake)).toEqual(others.map(() => false));
});

test("the receiver index of a transport message is a little endian u32", () => {
  expect(wireGuardReceiver(transport(0x0403_0201))).toBe(0x0403_0201);
  expect(wireGuardReceiver(transport(0xffff_ffff))).toBe(0xffff_ffff);
  expect(wireGuardReceiver(transport(0))).toBe(0);
  expect(wireGuardReceiver(transport(5, 32))).toBe(5);
});

test("nothing else has a receiver", () => {
  const others = [new Uint8Array(0), transport(5, 31), initiation(), response(), transport(5).fill(1, 1, 2)];
  expect(others.map(wireGuardReceiver)).toEqual(others.map(() => -1));
});

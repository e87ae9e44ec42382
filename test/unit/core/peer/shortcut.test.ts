import { expect, test } from "bun:test";
import { parseCandidate } from "../../../../src/core/ice/candidate.ts";
import { CAP_PORT_MAPPED, hasShortcut } from "../../../../src/core/peer/shortcut.ts";

const at = (address: string, type: "host" | "srflx") => {
  const candidate = parseCandidate(`candidate:1 1 udp 1000 ${address} 5000 typ ${type}`);
  if (candidate === undefined) throw new Error(`no candidate: ${address}`);
  return candidate;
};
const NONE = { own: false, peerCaps: [] };

test.each([
  ["two homes", [at("10.1.0.2", "host"), at("198.51.100.2", "srflx")], [at("198.51.100.6", "srflx")], NONE, false],
  ["one NAT in front of both", [at("198.51.100.2", "srflx")], [at("198.51.100.2", "srflx")], NONE, true],
  ["IPv6 at both ends", [at("2001:db8::1", "host")], [at("2001:db8:1::1", "host")], NONE, true],
  ["IPv6 at one end", [at("2001:db8::1", "host")], [at("10.2.0.2", "host")], NONE, false],
  ["IPv6 of the house only", [at("fd00::1", "host")], [at("fd00::2", "host")], NONE, false],
  ["a port mapped here", [], [], { own: true, peerCaps: [] }, true],
  ["a port mapped there", [], [], { own: false, peerCaps: [CAP_PORT_MAPPED] }, true],
] as const)("%s", (_name, own, peer, mapped, expected) => {
  expect(hasShortcut(own, peer, mapped)).toBe(expected);
});

import { describe, expect, test } from "bun:test";
import { MAX_CTRL_BYTES } from "../../../../src/core/wire/control.ts";
import { decodeSignal, encodeSignal, type SignalInput } from "../../../../src/core/wire/signal.ts";
import { utf8 } from "../../../bytes.ts";
import { fuzzSeeds, Random } from "../../../random.ts";

const offer = { body: "{}", certificate: "PEM", signature: "c2ln" };
const peer = { nat: "cone", filtering: "address-dependent", reflex: "198.51.100.2:5000", caps: ["x"] } as const;
const peerRead = { ...peer, reflex: { address: "198.51.100.2", port: 5_000 } };
const host = "candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host";
const hostRead = {
  type: "host",
  foundation: "1",
  priority: 2_130_706_431,
  endpoint: { address: "192.0.2.1", port: 5_000 },
};

/** Each signal as written, and what of it is read differently. */
const SIGNALS: [SignalInput, object][] = [
  [{ type: "register", node: "ut 1" }, {}],
  [{ type: "registered", lease_ms: 60_000 }, {}],
  [{ type: "stun_credential", username: "u", password: "p", port: 3_478 }, {}],
  [{ type: "ping", id: 7 }, {}],
  [{ type: "pong", id: 7 }, {}],
  [{ type: "peer_info", info: { ...peer, caps: ["x"] } }, { info: peerRead }],
  [{ type: "resume", channels: [1, 0xffff_ffff] }, {}],
  [{ type: "open_p2p", request_id: 1, to: "office", service: "wireguard", offer }, {}],
  [
    { type: "p2p_incoming", channel: 2, from: "home", service: "s", offer, peer: { ...peer, caps: ["x"] } },
    { peer: peerRead },
  ],
  [{ type: "p2p_accept", channel: 2, answer: offer }, {}],
  [{ type: "p2p_reject", channel: 2, reason: "not-allowed" }, {}],
  [
    { type: "p2p_opened", channel: 3, peer: { ...peer, caps: ["x"] }, rtt_ms: 20.5, peer_rtt_ms: null },
    { peer: peerRead },
  ],
  [{ type: "p2p_failed", request_id: 1, reason: "peer-not-reachable", by: "server" }, {}],
  [
    { type: "candidates", channel: 3, attempt: 0, candidates: [host], last: true, peer: { ...peer, caps: ["x"] } },
    { candidates: [hostRead], peer: peerRead },
  ],
  [{ type: "start_punching", channel: 3, attempt: 0, delay_ms: 5.25 }, {}],
  [
    { type: "punch_request", channel: 3, attempt: 1, role: "nat3", reflex: "[2001:db8::1]:9" },
    { reflex: { address: "2001:db8::1", port: 9 } },
  ],
  [
    { type: "punch_introduce", channel: 3, attempt: 1, role: "nat4", peer_reflex: "192.0.2.1:9", delay_ms: 0 },
    { peer_reflex: { address: "192.0.2.1", port: 9 } },
  ],
  [{ type: "punch_ack", channel: 3, attempt: 1 }, {}],
  [{ type: "punch_reject", channel: 3, attempt: 1, reason: "reflex-mismatch" }, {}],
  [{ type: "p2p_result", channel: 3, winner: "ice", elapsed_ms: 81, cause: "" }, {}],
  [{ type: "p2p_close", channel: 3, reason: "idle" }, {}],
  [{ type: "lanes_wanted", packets: 3 }, {}],
  [{ type: "find_peer", to: "office" }, {}],
  [{ type: "found_peer", to: "office", registered: true }, {}],
];

test.each(SIGNALS.map(([written, read]) => [written.type, written, read] as const))(
  "%s: written and read",
  (_, written, read) => {
    expect(decodeSignal(encodeSignal(written))).toEqual({ ok: true, signal: { ...written, ...read } as never });
  },
);

describe("what a newer peer says", () => {
  const decoded = (value: object) => decodeSignal(utf8(JSON.stringify(value)));
  test("more fields are ignored, more kinds of NAT are unknown, candidates of other kinds left out", () => {
    expect(decoded({ type: "ping", id: 1, more: 2 })).toEqual({ ok: true, signal: { type: "ping", id: 1 } });
    expect(decoded({ type: "peer_info", info: { nat: "quantum", filtering: 5, reflex: "there" } })).toEqual({
      ok: true,
      signal: { type: "peer_info", info: { nat: "unknown", filtering: null, reflex: null, caps: [] } },
    });
    const strange = ["candidate:1 1 tcp 5 192.0.2.1 5 typ host", host, "candidate:2 1 udp 5 name.local 5 typ host"];
    const unknown = { nat: "unknown", filtering: null, reflex: null, caps: [] };
    expect(decoded({ type: "candidates", channel: 1, attempt: 0, candidates: strange, last: false, peer: {} })).toEqual(
      {
        ok: true,
        signal: {
          type: "candidates",
          channel: 1,
          attempt: 0,
          candidates: [hostRead],
          last: false,
          peer: unknown,
        } as never,
      },
    );
  });

  test("unknown types are told apart from broken ones", () => {
    expect(decoded({ type: "teleport" })).toEqual({ ok: false, kind: "unknown-type", type: "teleport" });
    expect(decoded({ type: "constructor" })).toEqual({ ok: false, kind: "unknown-type", type: "constructor" });
  });
});

test.each([
  ["no-type", "{}"],
  ["no-type", "[]"],
  ["not-json", "{"],
  ["invalid", '{"type":"ping"}'],
  ["invalid", '{"type":"punch_request","channel":1,"attempt":0,"role":"nat3","reflex":"10.0.0.1"}'],
  ["invalid", '{"type":"open_p2p","request_id":1,"to":"a b","service":"","offer":{}}'],
  ["invalid", '{"type":"p2p_close","channel":0,"reason":""}'],
  ["invalid", `{"type":"resume","channels":[${Array.from({ length: 65 }, (_, i) => i + 1)}]}`],
  ["too-large", `{"type":"ping","id":1,"x":"${"x".repeat(MAX_CTRL_BYTES)}"}`],
] as const)("%s: %.60s", (kind, text) => expect(decodeSignal(utf8(text))).toEqual({ ok: false, kind } as never));

test("damaged signals are read or refused, never thrown at", () => {
  for (const seed of fuzzSeeds("signal", 500)) {
    const random = new Random(seed);
    const bytes = encodeSignal(random.pick(SIGNALS)[0]);
    for (let i = random.between(1, 4); i > 0; i--) bytes[random.below(bytes.length)] = random.below(256);
    expect(typeof decodeSignal(bytes.subarray(0, random.between(0, bytes.length))).ok).toBe("boolean");
  }
});

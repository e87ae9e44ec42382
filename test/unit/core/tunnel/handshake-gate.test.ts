import { describe, expect, test } from "bun:test";
import { HandshakeGate, MAX_PENDING, MAX_PENDING_PER_ADDRESS } from "../../../../src/core/tunnel/handshake-gate.ts";

/** Let `count` connections of one address in; returns who had to go, in order. */
function crowd(gate: HandshakeGate<string>, address: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => gate.enter(`${address}#${i}`, address)).flat();
}

describe("handshake gate", () => {
  test("the limits are those of the design", () => expect([MAX_PENDING, MAX_PENDING_PER_ADDRESS]).toEqual([512, 32]));

  test("the 33rd connection of an address costs its oldest", () => {
    const gate = new HandshakeGate<string>();
    expect(crowd(gate, "192.0.2.1", 32)).toEqual([]);
    expect(crowd(gate, "192.0.2.2", 1)).toEqual([]);
    expect(gate.enter("a", "192.0.2.1")).toEqual(["192.0.2.1#0"]);
    expect(gate.enter("b", "192.0.2.1")).toEqual(["192.0.2.1#1"]);
    expect(gate.size).toBe(33);
  });

  test("the 513th of all costs the oldest of all", () => {
    const gate = new HandshakeGate<string>();
    for (let host = 0; host < 16; host++) expect(crowd(gate, `192.0.2.${host}`, 32)).toEqual([]);
    expect(gate.size).toBe(512);
    expect(gate.enter("late", "198.51.100.1")).toEqual(["192.0.2.0#0"]);
    expect(gate.size).toBe(512);
    // An address at its own limit makes room by its own limit, and the rest need not go.
    expect(gate.enter("more", "192.0.2.5")).toEqual(["192.0.2.5#0"]);
    expect(gate.size).toBe(512);
  });

  test("who left makes room, and leaves once", () => {
    const gate = new HandshakeGate<string>();
    crowd(gate, "192.0.2.1", 32);
    expect([gate.leave("192.0.2.1#7"), gate.leave("192.0.2.1#7"), gate.leave("stranger")]).toEqual([
      true,
      false,
      false,
    ]);
    expect(gate.enter("a", "192.0.2.1")).toEqual([]);
    expect(gate.enter("b", "192.0.2.1")).toEqual(["192.0.2.1#0"]);
  });

  test("who was evicted has left already", () => {
    const gate = new HandshakeGate<string>();
    crowd(gate, "192.0.2.1", 33);
    expect(gate.leave("192.0.2.1#0")).toBe(false);
    expect(gate.size).toBe(32);
  });

  test("a connection that enters twice counts once", () => {
    const gate = new HandshakeGate<string>();
    for (let i = 0; i < 100; i++) expect(gate.enter("same", "192.0.2.1")).toEqual([]);
    expect(gate.size).toBe(1);
    gate.leave("same");
    expect(crowd(gate, "192.0.2.1", 32)).toEqual([]);
  });

  test("ten thousand connections of one address leave 32, and harm no other", () => {
    const gate = new HandshakeGate<string>();
    gate.enter("honest", "198.51.100.1");
    expect(crowd(gate, "192.0.2.1", 10_000).length).toBe(10_000 - 32);
    expect([gate.size, gate.leave("honest")]).toEqual([33, true]);
  });

  test("ten thousand of ten thousand addresses leave 512, the newest", () => {
    const gate = new HandshakeGate<number>();
    const gone: number[] = [];
    for (let i = 0; i < 10_000; i++) gone.push(...gate.enter(i, `2001:db8::${i}`));
    expect(gone).toEqual(Array.from({ length: 10_000 - 512 }, (_, i) => i));
    expect([gate.size, gate.leave(9_488), gate.leave(9_487)]).toEqual([512, true, false]);
  });
});

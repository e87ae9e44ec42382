import { expect, test } from "bun:test";
import type { Datagram, Machine, Transmit } from "../../../src/core/machine.ts";
import type { Endpoint } from "../../../src/core/net/endpoint.ts";
import { type Instant, NEVER } from "../../../src/core/time.ts";
import { drive } from "../../../src/io/drive.ts";
import { openFan } from "../../../src/io/udp/udp-fan.ts";

/** Sends what it is told, answers `ping` with `pong`, and says everything that happens to it. */
class Scripted implements Machine<string> {
  transmits: Transmit[] = [];
  events: string[] = [];
  due: Instant = NEVER;
  handleDatagram(_now: Instant, { socket, from, payload }: Datagram): void {
    const text = new TextDecoder().decode(payload);
    this.events.push(`${socket}:${text}`);
    if (text === "ping") this.transmits.push({ socket, to: from, payload: bytes("pong") });
  }
  handleTimeout(now: Instant): void {
    if (now < this.due) return;
    this.due = NEVER;
    this.events.push("timeout");
  }
  pollTransmit(): Transmit | undefined {
    return this.transmits.shift();
  }
  pollEvent(): string | undefined {
    return this.events.shift();
  }
  nextTimeout(): Instant {
    return this.due;
  }
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A machine on its own sockets, with a way to wait for what it says. */
async function open(sockets: number) {
  const machine = new Scripted();
  const fan = await openFan(Array.from({ length: sockets }, () => ({ address: "127.0.0.1" })));
  const heard: string[] = [];
  let awake = Promise.withResolvers<void>();
  const driven = drive(machine, fan, (event) => {
    heard.push(event);
    awake.resolve();
  });
  const until = async (count: number) => {
    while (heard.length < count) {
      awake = Promise.withResolvers();
      await awake.promise;
    }
    return heard;
  };
  const close = () => {
    driven[Symbol.dispose]();
    fan[Symbol.dispose]();
  };
  return { machine, fan, driven, until, heard, [Symbol.dispose]: close };
}

function end(fan: { local: readonly Endpoint[] }, socket: number): Endpoint {
  return fan.local[socket] as Endpoint;
}

test("machines on real sockets talk, each socket under its number", async () => {
  using one = await open(1);
  using other = await open(3);
  one.machine.transmits.push(
    { socket: 0, to: end(other.fan, 2), payload: bytes("ping") },
    { socket: 0, to: end(other.fan, 1), payload: bytes("ping"), ttl: 9 },
  );
  one.driven.poke();
  expect((await one.until(2)).toSorted()).toEqual(["0:pong", "0:pong"]);
  expect((await other.until(2)).toSorted()).toEqual(["1:ping", "2:ping"]);
  expect(other.fan.errors).toEqual({ icmp: 0, refused: 0 });
});

test("a machine is called when its time has come", async () => {
  using one = await open(1);
  one.machine.due = performance.now() + 1;
  one.driven.poke();
  expect(await one.until(1)).toEqual(["timeout"]);
  expect(one.machine.due).toBe(NEVER);
});

test("after disposal nothing reaches the machine, while its sockets still work", async () => {
  using one = await open(1);
  using other = await open(1);
  one.driven[Symbol.dispose]();
  const received = Promise.withResolvers<string>();
  one.fan.onDatagram = ({ payload }) => received.resolve(new TextDecoder().decode(payload));
  other.machine.transmits.push({ socket: 0, to: end(one.fan, 0), payload: bytes("late") });
  other.driven.poke();
  expect(await received.promise).toBe("late");
  one.machine.transmits.push({ socket: 0, to: end(other.fan, 0), payload: bytes("never") });
  one.driven.poke();
  expect(one.machine.transmits.length).toBe(1);
  expect(one.heard).toEqual([]);
});

test("keeping one socket closes the others, whose ports are free again", async () => {
  const fan = await openFan([{ address: "127.0.0.1" }, { address: "127.0.0.1" }, { address: "127.0.0.1" }]);
  using other = await open(1);
  fan.send([{ socket: 1, to: end(other.fan, 0), payload: bytes("a"), ttl: 5 }]);
  fan.keep(1);
  using _again = await openFan([end(fan, 0), end(fan, 2)]);
  fan.send([
    { socket: 0, to: end(other.fan, 0), payload: bytes("closed") },
    { socket: 1, to: end(other.fan, 0), payload: bytes("b") },
  ]);
  expect(await other.until(2)).toEqual(["0:a", "0:b"]);
  expect(fan.errors).toEqual({ icmp: 0, refused: 1 });
  fan[Symbol.dispose]();
});

test("when one socket cannot be had, none stays open", async () => {
  using taken = await openFan([{ address: "127.0.0.1" }]);
  const free = await openFan([{ address: "127.0.0.1" }]);
  const wanted = end(free, 0);
  free[Symbol.dispose]();
  await expect(openFan([wanted, end(taken, 0)])).rejects.toMatchObject({ kind: "io.bind" });
  using _again = await openFan([wanted]);
});

test("a datagram to the other address family is counted, not sent", async () => {
  using fan = await openFan([{ address: "127.0.0.1" }]);
  fan.send([{ socket: 0, to: { address: "::1", port: 9 }, payload: bytes("x") }]);
  expect(fan.errors).toEqual({ icmp: 0, refused: 1 });
});

import { expect, test } from "bun:test";
import { SignalService } from "../../../src/app/signal-service.ts";
import { MAX_UNREAD } from "../../../src/core/signal/limits.ts";
import { MAX_CTRL_BYTES } from "../../../src/core/wire/control.ts";
import { PduDecoder } from "../../../src/core/wire/pdu.ts";
import type { SignalInput } from "../../../src/core/wire/signal.ts";
import type { LaneTransport } from "../../../src/io/lane-transport.ts";
import { Logbook } from "../../e2e/support/logbook.ts";
import { controlPdu } from "../../e2e/support/raw-lane.ts";

/** A connection whose socket takes `room` bytes more. */
class Pipe implements LaneTransport {
  readonly remote = "192.0.2.1:1";
  readonly peerCn = "home";
  readonly fd = undefined;
  room = Number.POSITIVE_INFINITY;
  ended: "end" | "terminate" | undefined;
  readonly #decoder = new PduDecoder({ maxCtrlBytes: MAX_CTRL_BYTES });
  readonly said: Record<string, unknown>[] = [];

  write(bytes: Uint8Array, start: number, end: number): number {
    const taken = Math.min(this.room, end - start);
    this.room -= taken;
    this.#decoder.feed(bytes.slice(start, start + taken));
    while (this.#decoder.next() === "pdu") this.said.push(JSON.parse(new TextDecoder().decode(this.#decoder.payload)));
    return taken;
  }

  end(): void {
    this.ended ??= "end";
  }

  terminate(): void {
    this.ended ??= "terminate";
  }
}

function connected(room = Number.POSITIVE_INFINITY) {
  const logbook = new Logbook();
  const service = new SignalService(
    { log: logbook.log("server"), stunPort: 0 },
    { opened: () => {}, closed: () => {}, refused: () => {} },
  );
  const pipe = new Pipe();
  pipe.room = room;
  const link = service.join(pipe, new PduDecoder({ maxCtrlBytes: MAX_CTRL_BYTES }), {
    type: "hello",
    kind: "control",
    session_id: crypto.randomUUID(),
    lane_id: 0,
    node: "",
    caps: [],
  });
  if (typeof link === "string") throw new Error(`refused: ${link}`);
  return { service, pipe, link, logbook, say: (signal: SignalInput) => link.data(controlPdu(signal)) };
}

test("what a socket takes in pieces arrives whole and in order", () => {
  const { service, pipe, link, say } = connected(5);
  for (let id = 0; id < 20; id++) say({ type: "ping", id });
  expect(pipe.said).toEqual([]);
  for (let i = 0; i < 2_000; i++) {
    pipe.room = 7;
    link.drained();
  }
  expect(pipe.said.map(({ type, id }) => (type === "pong" ? id : type))).toEqual([
    "hello_ack",
    "ping",
    ...Array.from({ length: 20 }, (_, id) => id),
  ]);
  expect(pipe.ended).toBeUndefined();
  service[Symbol.dispose]();
});

test("one that reads nothing is cut when as much waits as may", () => {
  const { service, pipe, link, logbook, say } = connected(100);
  // The acknowledgement has gone in part, the rest waits in the link; the server's first ping waits in the hub.
  for (let id = 0; id < MAX_UNREAD - 1; id++) say({ type: "ping", id });
  expect(pipe.ended).toBeUndefined();
  say({ type: "ping", id: 999 });
  // Behind half a message nothing could be said.
  expect(pipe.ended).toBe("terminate");
  expect(service.status()).toMatchObject({ connections: 0, counters: { evicted: { "slow-reader": 1 } } });
  link.closed(undefined);
  expect(logbook.find("control_close")).toMatchObject([{ client_cn: "home", reason: "slow-reader" }]);
  service[Symbol.dispose]();
});

test("after a goodbye nothing is heard and nothing said", () => {
  const { service, pipe, link, say } = connected();
  link.data(controlPdu({ type: "goodbye", reason: "shutdown" }));
  expect(pipe.ended).toBe("end");
  const before = pipe.said.length;
  say({ type: "ping", id: 1 });
  link.data(new Uint8Array([1, 2, 3]));
  expect(pipe.said.slice(before)).toEqual([]);
  expect(pipe.said.at(-1)).toEqual({ type: "goodbye", reason: "shutdown" });
  expect(service.status().counters.signals).toBe(0);
  link.closed(undefined);
  expect(service.status()).toMatchObject({ connections: 0, members: [] });
  service[Symbol.dispose]();
});

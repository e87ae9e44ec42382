import { expect, test } from "bun:test";
import { MAX_UNREAD } from "../../../../src/core/signal/limits.ts";
import { controlPdu } from "../../../e2e/support/raw-lane.ts";
import { greeted } from "../greeted-control.ts";

test("what a socket takes in pieces arrives whole and in order", () => {
  const { service, pipe, link, say } = greeted(5);
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
  const { service, pipe, link, logbook, say } = greeted(100);
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
  const { service, pipe, link, say } = greeted();
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

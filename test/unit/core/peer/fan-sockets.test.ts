import { expect, test } from "bun:test";
import { FanSockets } from "../../../../src/core/peer/fan-sockets.ts";
import { Outbox } from "../../../../src/core/peer/outbox.ts";
import type { SocketRequest } from "../../../../src/core/peer/peer-event.ts";

function requests(out: Outbox): SocketRequest[] {
  const all: SocketRequest[] = [];
  for (let next = out.sockets.shift(); next !== undefined; next = out.sockets.shift()) all.push(next);
  return all;
}

test("numbers of sockets are never used twice", () => {
  const out = new Outbox();
  expect([out.openSockets(256), out.openSockets(4), out.openSockets(1)]).toEqual([16, 272, 276]);
});

test("a socket closes with the pipe that has it last", () => {
  const out = new Outbox();
  const fans = new FanSockets(out);
  const [before, after] = [{}, {}];
  fans.claim(20, before);
  fans.claim(20, after);
  fans.release(before);
  expect([requests(out), fans.count]).toEqual([[], 1]);
  fans.release(after);
  expect([requests(out), fans.count]).toEqual([[{ type: "close", first: 20, count: 1 }], 0]);
});

test("who moves on closes what it had; shared sockets stay", () => {
  const out = new Outbox();
  const fans = new FanSockets(out);
  const owner = {};
  fans.claim(20, owner);
  fans.claim(20, owner);
  fans.claim(0, owner);
  expect([requests(out), fans.count]).toEqual([[{ type: "close", first: 20, count: 1 }], 0]);
});

import { expect, test } from "bun:test";
import { PeerSockets } from "../../../../src/app/peers/peer-sockets.ts";
import type { Datagram } from "../../../../src/core/machine.ts";
import { SharedFan } from "../../../../src/io/udp/shared-fan.ts";
import { openFan } from "../../../../src/io/udp/udp-fan.ts";
import { Logbook } from "../../../e2e/support/logbook.ts";
import { marked, udpEnd } from "../../../e2e/support/udp-end.ts";
import { until } from "../../../e2e/support/until.ts";

async function openSockets() {
  const fan = await openFan([{ address: "127.0.0.1" }]);
  const heard: Datagram[] = [];
  const opened: [first: number, count: number][] = [];
  const sockets = new PeerSockets(
    new SharedFan(fan).share(() => true),
    fan.local,
    {
      datagram: (datagram) => heard.push(datagram),
      opened: (first, count) => opened.push([first, count]),
    },
    new Logbook().log("relay"),
  );
  const stack = new DisposableStack();
  stack.use(fan);
  stack.use(sockets);
  return { sockets, heard, opened, stack };
}

test("shared sockets and those that were asked for, by their numbers, both ways", async () => {
  const { sockets, heard, opened, stack } = await openSockets();
  using _ = stack;
  using echo = await udpEnd({ echo: true });
  sockets.handle({ type: "open", first: 16, count: 3 });
  expect(sockets.extra).toBe(3);
  await until("sockets", () => opened.length === 1);
  expect(opened).toEqual([[16, 3]]);
  const to = { address: "127.0.0.1", port: echo.port };
  sockets.send([0, 16, 17, 18, 0].map((socket) => ({ socket, to, payload: marked(socket) })));
  await until("five answers", () => heard.length === 5);
  expect(heard.map(({ socket }) => socket).sort()).toEqual([0, 0, 16, 17, 18]);
  expect([0, 16, 17, 18].map((socket) => echo.fromPorts.includes(sockets.local(socket)?.port ?? 0))).toEqual(
    Array(4).fill(true),
  );
  expect(sockets.local(19)).toBeUndefined();
});

test("one is kept when the others close, until it closes, too", async () => {
  const { sockets, heard, opened, stack } = await openSockets();
  using _ = stack;
  using echo = await udpEnd({ echo: true });
  sockets.handle({ type: "open", first: 16, count: 3 });
  await until("sockets", () => opened.length === 1);
  sockets.handle({ type: "close", first: 16, count: 3, keep: 17 });
  expect(sockets.extra).toBe(1);
  const to = { address: "127.0.0.1", port: echo.port };
  sockets.send([16, 17, 18].map((socket) => ({ socket, to, payload: marked(socket) })));
  await until("an answer", () => heard.length === 1);
  expect(heard[0]?.socket).toBe(17);
  sockets.handle({ type: "close", first: 17, count: 1 });
  expect([sockets.extra, sockets.local(17)]).toEqual([0, undefined]);
});

test("what nobody wants any more by the time that it is open is closed, and not told of", async () => {
  const { sockets, opened, stack } = await openSockets();
  using _ = stack;
  sockets.handle({ type: "open", first: 16, count: 2 });
  sockets.handle({ type: "close", first: 16, count: 2 });
  sockets.handle({ type: "open", first: 18, count: 1 });
  await until("the later one", () => opened.length > 0);
  expect([opened, sockets.extra]).toEqual([[[18, 1]], 1]);
});

import { expect, test } from "bun:test";
import type { PipeUser } from "../../../../src/app/peers/peer-plane.ts";
import { openRelayPort } from "../../../../src/app/peers/relay-port.ts";
import { now } from "../../../../src/io/clock.ts";
import { Logbook } from "../../../e2e/support/logbook.ts";
import { marked, udpEnd } from "../../../e2e/support/udp-end.ts";
import { drivenTime, until } from "../../../e2e/support/until.ts";

/** Pipes that lead nowhere: what was sent on them, and who listens. */
function fakePipes() {
  const sent: { flow: number; bytes: number }[] = [];
  const opened: { to: string; service: string; user: PipeUser }[] = [];
  return {
    sent,
    opened,
    open(to: string, service: string, user: PipeUser) {
      opened.push({ to, service, user });
      return opened.length;
    },
    send(_pipe: number, flow: number, datagram: Uint8Array) {
      sent.push({ flow, bytes: datagram.length });
      return now();
    },
    close() {},
  };
}

async function relayPort(idle_seconds = 120) {
  const pipes = fakePipes();
  const logbook = new Logbook();
  const entry = { listen_addr: { host: "127.0.0.1", port: 0 }, to: "office", service: "echo", idle_seconds };
  const port = await openRelayPort(entry, pipes, logbook.log("relay"));
  const user = () => pipes.opened[0]?.user as PipeUser;
  return { pipes, logbook, port, user };
}

test("one pipe, a flow for each local sender, and answers to whoever it is", async () => {
  const { pipes, port, user } = await relayPort();
  using _ = port;
  using one = await udpEnd();
  using two = await udpEnd();
  one.sendTo(port.port, marked(0, 10), marked(1, 11));
  await until("both", () => pipes.sent.length === 2);
  two.sendTo(port.port, marked(2, 12));
  await until("all", () => pipes.sent.length === 3);
  expect(pipes.opened).toMatchObject([{ to: "office", service: "echo" }]);
  expect(pipes.sent).toEqual([
    { flow: 2, bytes: 10 },
    { flow: 2, bytes: 11 },
    { flow: 3, bytes: 12 },
  ]);
  user().deliver(3, [marked(7, 20), marked(8, 21)]);
  user().deliver(2, [marked(9, 22)]);
  await two.count(2);
  await one.count(1);
  expect([one, two].map(({ received }) => received.map(({ length }) => length))).toEqual([[22], [20, 21]]);
});

test("a flow that rests ends: what still comes for it is dropped and counted, its sender begins another", async () => {
  using time = drivenTime();
  const { pipes, logbook, port, user } = await relayPort(60);
  using _ = port;
  using end = await udpEnd();
  end.sendTo(port.port, marked(0));
  await until("a flow", () => pipes.sent.length === 1);
  time.advance(59_000);
  user().deliver(2, [marked(1)]);
  await end.count(1);
  time.advance(59_000);
  expect(logbook.has("flow_close")).toBe(false);
  time.advance(2_500);
  expect(logbook.find("flow_close")).toMatchObject([{ flow: 2, peer: "office", service: "echo" }]);
  user().deliver(2, [marked(2), marked(3)]);
  expect(port.dropped).toBe(2);
  end.sendTo(port.port, marked(4));
  await until("another flow", () => pipes.sent.length === 2);
  expect(pipes.sent.map(({ flow }) => flow)).toEqual([2, 3]);
});

test("nothing more is taken in once it stops, or its pipe is gone", async () => {
  const { pipes, port, user } = await relayPort();
  using _ = port;
  using end = await udpEnd();
  end.sendTo(port.port, marked(0));
  await until("a flow", () => pipes.sent.length === 1);
  user().closed();
  port.stop();
  end.sendTo(port.port, marked(1));
  user().deliver(2, [marked(2)]);
  await end.count(1);
  expect(pipes.sent).toHaveLength(1);
});

test("a port that is taken is told", async () => {
  using taken = await udpEnd();
  const entry = { listen_addr: { host: "127.0.0.1", port: taken.port }, to: "a", service: "b", idle_seconds: 1 };
  const opening = openRelayPort(entry, fakePipes(), new Logbook().log("relay"));
  expect(await opening.catch((error) => error.kind)).toBe("io.bind");
});

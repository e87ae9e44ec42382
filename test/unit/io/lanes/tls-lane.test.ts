import { afterEach, describe, expect, test } from "bun:test";
import type { UtError } from "../../../../src/core/error.ts";
import { dialTlsLane } from "../../../../src/io/lanes/tls-dial.ts";
import { END_LINGER_MS } from "../../../../src/io/lanes/tls-lane.ts";
import { listenTlsLanes } from "../../../../src/io/lanes/tls-listen.ts";
import { serverIdentity } from "../../../e2e/support/identities.ts";
import { rawLane } from "../../../e2e/support/raw-lane.ts";
import { drivenTime, turn, until } from "../../../e2e/support/until.ts";
import { closeListeners, dial, End, home, listen, NEVER_ABORTED } from "./lane-ends.ts";

afterEach(closeListeners);

/** Both ends of a lane that is up. */
async function laneUp(): Promise<{ near: End; far: End }> {
  const listener = listen();
  const near = dial(listener.port);
  await until("both ends", () => near.isOpen && listener.ends.length === 1);
  return { near, far: listener.ends[0] as End };
}

describe("a lane", () => {
  test("knows who is at its other end", async () => {
    const { near, far } = await laneUp();
    expect({ near: near.transport?.peerCn, far: far.transport?.peerCn }).toEqual({ near: "server", far: "home" });
    expect(near.transport?.remote).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(far.transport?.remote).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(near.transport?.fd).toBeGreaterThan(2);
  });

  test("takes what fits, says when there is room again, and carries every byte", async () => {
    const { near, far } = await laneUp();
    const block = new Uint8Array(1 << 20);
    const total = 16 << 20;
    let sent = 0;
    const push = () => {
      while (sent < total) {
        const taken = near.transport?.write(block, 0, Math.min(block.length, total - sent)) ?? 0;
        sent += taken;
        if (taken < block.length) return;
      }
    };
    push();
    expect(sent).toBeLessThan(total);
    near.onDrained = push;
    await until("all of it", () => far.bytes === total);
    expect(sent).toBe(total);
  });

  test("that is ended lets everything through first; both ends hear of it once", async () => {
    const { near, far } = await laneUp();
    near.send("last words");
    near.transport?.end();
    near.transport?.end();
    await until("both to close", () => !near.isOpen && !far.isOpen);
    expect(far.bytes).toBe(10);
    expect({ near: near.told, far: far.told }).toEqual({
      near: ["opened", "closed"],
      far: ["closed"],
    });
    expect([near.error, far.error]).toEqual([undefined, undefined]);
    // Nothing more happens to a lane that is closed.
    expect(near.transport?.write(new Uint8Array(3), 0, 3)).toBe(0);
    near.transport?.terminate();
    near.transport?.end();
    expect(near.told).toEqual(["opened", "closed"]);
  });

  test("that its peer never closes is cut in the end", async () => {
    using time = drivenTime();
    const listener = listen();
    using peer = await rawLane({ port: listener.port, identity: home, keepOpen: true });
    await until("it to be accepted", () => listener.ends.length === 1);
    const [end] = listener.ends as [End];
    end.transport?.end();
    for (let i = 0; i < 20; i++) await turn();
    peer.send(new Uint8Array(5));
    await until("it to be read on", () => end.bytes === 5);
    time.advance(END_LINGER_MS - 1_000);
    await turn();
    expect(end.isOpen).toBe(true);
    time.advance(1_000);
    await until("the end", () => !end.isOpen);
    expect(end.told).toEqual(["closed"]);
    await peer.closed();
  });

  test("may be terminated inside its own data handler", async () => {
    const { near, far } = await laneUp();
    far.onData = () => {
      far.transport?.terminate();
      expect(far.told.at(-1)).toBe("closed");
      far.transport?.terminate();
    };
    near.send("bang");
    await until("the other end to notice", () => !near.isOpen);
    expect(far.told.filter((word) => word === "closed")).toHaveLength(1);
    expect(far.bytes).toBe(4);
  });
});

describe("an exception of the owner ends this lane, and nothing else", () => {
  test("in the data handler", async () => {
    const listener = listen();
    const dialled = [dial(listener.port), dial(listener.port)];
    await until("both lanes", () => dialled.every((one) => one.isOpen) && listener.ends.length === 2);
    const [end, other] = listener.ends as [End, End];
    end.onData = () => {
      throw new TypeError("a bug");
    };
    for (const one of dialled) one.send("x");
    await until("one lane to end, and the other to be read", () => !end.isOpen && other.bytes === 1);
    expect(other.isOpen).toBe(true);
    expect(end.error).toMatchObject({
      kind: "lane.closed",
      message: expect.stringMatching(/^Lane given up after an internal error: TypeError: a bug\n.*tls-lane\.test\.ts/s),
    });
    expect(end.told.filter((word) => word === "closed")).toHaveLength(1);
    const third = dial(listener.port);
    await until("another lane", () => third.isOpen);
  });

  test("in opened, at the dialling end", async () => {
    const listener = listen();
    const end = new End();
    const closed = Promise.withResolvers<UtError | undefined>();
    dialTlsLane(
      { host: "127.0.0.1", port: listener.port, serverName: "127.0.0.1", identity: home },
      {
        ...end.handlers,
        opened: () => {
          throw new Error("a bug");
        },
        closed: closed.resolve,
      },
      NEVER_ABORTED,
    );
    expect((await closed.promise)?.message).toStartWith("Lane given up after an internal error: Error: a bug");
  });

  test("in accept", async () => {
    let accepted = 0;
    const listener = listen({
      accept() {
        accepted++;
        throw new Error("a bug");
      },
    });
    const near = dial(listener.port);
    await until("the lane to end", () => near.told.includes("closed"));
    expect({ accepted, pending: listener.pending }).toEqual({ accepted: 1, pending: 0 });
  });

  test("in closed", async () => {
    const { near, far } = await laneUp();
    near.handlers.closed = () => {
      near.told.push("closed");
      throw new Error("a bug");
    };
    far.transport?.terminate();
    await until("it", () => near.told.includes("closed"));
    for (let i = 0; i < 10; i++) await turn();
    expect(near.told).toEqual(["opened", "closed"]);
  });
});

describe("a listener", () => {
  test("that stops accepting leaves open lanes alone", async () => {
    const listener = listen();
    const before = dial(listener.port);
    await until("a lane", () => before.isOpen && listener.ends.length === 1);
    listener.stop();
    const late = dial(listener.port);
    await until("the refusal", () => late.told.includes("closed"));
    expect(late.told).toEqual(["closed"]);
    before.send("on");
    await until("the bytes", () => listener.ends[0]?.bytes === 2);
  });

  test("that is disposed of ends everything", async () => {
    const listener = listen();
    const near = dial(listener.port);
    await until("a lane", () => near.isOpen && listener.ends.length === 1);
    listener[Symbol.dispose]();
    await until("its end", () => !near.isOpen);
    expect(listener.ends[0]?.told).toEqual(["closed"]);
  });

  test("on a port that is taken is an error that names it", () => {
    const { port } = listen();
    const again = () =>
      listenTlsLanes(
        { host: "127.0.0.1", port, identity: serverIdentity, denyCn: [] },
        { accept: () => new End().handlers, refused: () => {} },
      );
    expect(again).toThrow(`Cannot listen on TCP 127.0.0.1:${port}: address in use; `);
  });
});

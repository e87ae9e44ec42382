import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { openStreamPool } from "../../src/app/streams/stream-pool.ts";
import { Logbook } from "./support/logbook.ts";
import { homeIdentity, officeIdentity, type StreamEnds, StreamUser, streamEnds } from "./support/stream-ends.ts";
import { udpPipes } from "./support/udp-pipes.ts";
import { until } from "./support/until.ts";

const LONG_MS = 120_000;
/** lsquic's own patience with a connection that makes no progress is a minute. */
const RESTING_MS = 63_000;

let resting: StreamEnds;
let restingSince: number;

beforeAll(async () => {
  resting = await streamEnds();
  await resting.open();
  restingSince = performance.now();
});

afterAll(() => resting[Symbol.dispose]());

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

/** So many streams at once, each of which sends and gets 20,000 bytes. */
async function exchange(ends: StreamEnds, count: number): Promise<void> {
  const before = ends.served.length;
  const users = await Promise.all(
    Array.from({ length: count }, async () => {
      const user = new StreamUser();
      user.stream = await ends.pool.open(user);
      await user.write(20_000);
      user.stream.end();
      return user;
    }),
  );
  await until("all are served", () => ends.served.length === before + count, LONG_MS);
  const served = ends.served.slice(before);
  await until("all was read", () => served.every(({ hasEnded }) => hasEnded), LONG_MS);
  for (const user of served) {
    void user.write(20_000);
    user.stream?.end();
  }
  await until("all are over", () => [...users, ...served].every(({ end }) => end !== undefined), LONG_MS);
  const outcome = { read: 20_000, wrong: 0, hasEnded: true, end: { type: "finished" as const } };
  expect([...users, ...served].map((user) => user.outcome)).toEqual([...users, ...served].map(() => outcome));
  ends.served.length = 0;
}

test(
  "2,000 streams in turns of 20, then 500 at once: all right, and nothing is left of them",
  async () => {
    using ends = await streamEnds();
    await exchange(ends, 500);
    const before = { descriptors: descriptors(), bytes: settledBytes() };
    for (let turn = 0; turn < 100; turn++) await exchange(ends, 20);
    await exchange(ends, 500);
    for (const end of [ends.pool, ends.service])
      expect(end.status()).toMatchObject({
        connections: 2,
        connectionsLost: 0,
        streams: 0,
        streamsOpened: 3_000,
        streamsEnded: { finished: 3_000, reset: 0, lost: 0 },
        bufferedBytes: 0,
      });
    expect(descriptors()).toBe(before.descriptors);
    // 2,500 streams of which each left a kilobyte would be 2.5 MB.
    expect(settledBytes() - before.bytes).toBeLessThan(2_500_000);
  },
  LONG_MS,
);

test(
  "a peer that is killed in the middle: the stream is lost, and never looks as if it had ended",
  async () => {
    await using child = Bun.spawn(
      [process.execPath, "--no-warnings", join(import.meta.dir, "support/stream-child.ts")],
      {
        stdin: new Blob([JSON.stringify(officeIdentity)]),
        stdout: "pipe",
        stderr: "inherit",
      },
    );
    const { value = new Uint8Array() } = await child.stdout.getReader().read();
    using pipes = await udpPipes(Number(new TextDecoder().decode(value)));
    const logbook = new Logbook();
    using pool = await openStreamPool({
      ...{ plane: pipes.plane, to: "office", service: "socks", identity: homeIdentity, log: logbook.log("socks") },
    });
    let echoed = 0;
    const user = new StreamUser();
    user.data = ({ length }) => {
      echoed += length;
      return length;
    };
    user.stream = await pool.open(user);
    void user.write(2 ** 30);
    await until("it is under way", () => echoed > 1_000_000, LONG_MS);
    child.kill("SIGKILL");
    await until("it is over", () => user.end !== undefined, LONG_MS);
    expect(user.outcome).toMatchObject({
      hasEnded: false,
      end: { type: "lost", reason: "nothing was heard any more" },
    });
    expect(pool.status()).toMatchObject({ streams: 0, streamsEnded: { finished: 0, reset: 0, lost: 1 } });
  },
  LONG_MS,
);

test(
  "a connection that nobody uses is there after a minute, and so is its stream",
  async () => {
    await Bun.sleep(RESTING_MS - (performance.now() - restingSince));
    const [theirs] = resting.served;
    const { stream } = theirs ?? {};
    await theirs?.write(1_000);
    stream?.end();
    await until("what was written came", () => resting.pool.status().bytesIn === 1_000);
    expect(resting.pool.status()).toMatchObject({ connectionsOpened: 2, connectionsLost: 0 });
  },
  LONG_MS,
);

/** Of the JavaScript heap, once everything that can go is gone. */
function settledBytes(): number {
  Bun.gc(true);
  Bun.gc(true);
  return process.memoryUsage().heapUsed;
}

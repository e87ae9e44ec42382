import { heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { Random } from "../random.ts";
import { identity } from "./support/identities.ts";
import { type LiveTimers, liveTimers } from "./support/live-timers.ts";
import { type PeerProcess, serverProcess } from "./support/peers.ts";
import { type TestPipe, type TestPlane, testPlane } from "./support/test-plane.ts";
import { until } from "./support/until.ts";

/*
 * What 1,000 pipes leave behind in the process that opened them, in the one at the other end, which here is the same,
 * and in the server. A name may ask for 64 pipes in 10 s, and be told of 8 starts: so there are many.
 */
const PEERS = 14;
const AT_ONCE = 6;
const ROUNDS = 12;
const WARM_UP_ROUNDS = 2;
/** Of hard-NAT, beside the rounds: its fan has 16 sockets and needs to try one port. */
const FANS_PER_ROUND = 2;
const FAN = { socket_count: 16, scan_count: 1, window_ms: 1_000 };
/** One pipe that is left behind holds more. */
const KEPT_BYTES_PER_PIPE = 2_048;
const DIRECT_LIMIT_MS = 1_000;
const FAN_LIMIT_MS = 2_500;
const LIMIT_MS = 180_000;

interface Seen {
  opened: number;
  echoed: number;
  ice: number;
  hardNat: number;
  cancelled: number;
}

interface Held {
  readonly descriptors: number;
  readonly timers: number;
  readonly serverDescriptors: number;
}

class Scene {
  readonly seen: Seen = { opened: 0, echoed: 0, ice: 0, hardNat: 0, cancelled: 0 };
  readonly peers: TestPlane[] = [];
  /** Ends that go by hard-NAT alone: the first opens pipes to the second. */
  readonly fans: TestPlane[] = [];
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  async rounds(count: number): Promise<void> {
    for (let round = 0; round < count; round++) await Promise.all([this.#round(), this.#fan()]);
  }

  /** A sixth is closed before it opens, or about then, another third on its way to go direct, the rest once it is. */
  async #round(): Promise<void> {
    const pipes = this.peers.flatMap((peer, from) =>
      Array.from({ length: AT_ONCE }, (_, n) => this.#open(peer, `peer${(from + 1 + n) % PEERS}`)),
    );
    const cut = pipes.filter((_, index) => index % AT_ONCE === 0);
    const kept = pipes.filter((pipe) => !cut.includes(pipe));
    this.#closeSoon(cut, 60);
    await until("echoes", () => kept.every(({ echoes }) => echoes > 0));
    this.seen.echoed += kept.length;
    const late = kept.filter((_, index) => index % 5 > 1);
    this.#closeSoon(
      kept.filter((pipe) => !late.includes(pipe)),
      40,
    );
    await this.#closeOnceDirect(late, DIRECT_LIMIT_MS);
    await until("all to be closed", () => pipes.every(({ isClosed }) => isClosed));
  }

  /** Every other one is given up while its sockets are being opened or used. */
  async #fan(): Promise<void> {
    const [one] = this.fans;
    if (one === undefined) return;
    const pipes = Array.from({ length: FANS_PER_ROUND }, () => this.#open(one, "fan1"));
    this.#closeSoon(pipes.slice(1), 120);
    await this.#closeOnceDirect(pipes.slice(0, 1), FAN_LIMIT_MS);
    await until("all to be closed", () => pipes.every(({ isClosed }) => isClosed));
  }

  #open(from: TestPlane, to: string): TestPipe {
    const pipe = from.open(to);
    this.seen.opened += 1;
    pipe.send();
    return pipe;
  }

  #closeSoon(pipes: readonly TestPipe[], withinMs: number): void {
    this.seen.cancelled += pipes.length;
    for (const pipe of pipes) setTimeout(() => pipe.close(), this.#random.below(withinMs));
  }

  /** Those beyond the limits of a name are not told to start for a while. */
  async #closeOnceDirect(pipes: readonly TestPipe[], limitMs: number): Promise<void> {
    const deadline = performance.now() + limitMs;
    await until("direct", () => pipes.every(({ conn }) => conn) || performance.now() > deadline, 2 * limitMs);
    this.seen.ice += pipes.filter(({ conn }) => conn?.meta.winner === "ice").length;
    this.seen.hardNat += pipes.filter(({ conn }) => conn?.meta.winner === "hardnat").length;
    for (const pipe of pipes) pipe.close();
  }

  /** Nothing is under way any more, here or at the server. */
  async settled(server: PeerProcess): Promise<void> {
    const planes = [...this.peers, ...this.fans];
    const isEmpty = ({ plane }: TestPlane) => Object.values(plane.holdings).every((count) => count === 0);
    await until("the first checks of the network", () => planes.every(({ isChecked }) => isChecked), 20_000);
    await until("nothing to be held", () => planes.every(isEmpty), 20_000);
    while ((await serverPipes(server)) > 0) await Bun.sleep(10);
  }
}

async function serverPipes(server: PeerProcess): Promise<number> {
  const { port } = (await server.ut.logged("start")).metrics as { readonly port: number };
  const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(/^ut_p2p_server_pipes (\d+)$/m.exec(page)?.[1]);
}

function held(timers: LiveTimers, serverPid: number): Held {
  const descriptors = (pid: number | "self") => readdirSync(`/proc/${pid}/fd`).length;
  return { descriptors: descriptors("self"), timers: timers.count, serverDescriptors: descriptors(serverPid) };
}

function heapBytes(): number {
  Bun.gc(true);
  return heapStats().heapSize;
}

test(
  "1,000 pipes, opened and closed at any moment, leave sockets, timers and memory where they were",
  async () => {
    const random = new Random(Number(process.env.UT_FUZZ_SEED ?? Date.now() % 2 ** 32));
    console.log(`pipe leaks: UT_FUZZ_SEED=${random.seed} repeats it`);
    using timers = liveTimers();
    await using server = await serverProcess();
    const pid = Number((await server.ut.logged("start")).pid);
    await using stack = new AsyncDisposableStack();
    const scene = new Scene(random);
    const start = async (cn: string, mode: string, host: string) =>
      stack.use(await testPlane(await identity({ cn }), server, { listen: `${host}:0`, hardNat: { mode, ...FAN } }));
    // The server's STUN answers an address so often and no oftener.
    for (let n = 0; n < PEERS; n++) scene.peers.push(await start(`peer${n}`, "off", `127.0.1.${n + 1}`));
    for (let n = 0; n < 2; n++) scene.fans.push(await start(`fan${n}`, "force", "127.0.0.1"));

    await scene.rounds(WARM_UP_ROUNDS);
    await scene.settled(server);
    const before = held(timers, pid);
    const heapBefore = heapBytes();
    const rssBefore = process.memoryUsage.rss();
    const openedBefore = scene.seen.opened;

    await scene.rounds(ROUNDS);
    await scene.settled(server);
    const isBack = () => {
      const after = held(timers, pid);
      return Object.entries(before).every(([what, count]) => after[what as keyof Held] <= count);
    };
    await until("descriptors and timers to be as few as before", isBack).catch(() => {});
    const after = held(timers, pid);
    const pipes = scene.seen.opened - openedBefore;
    const keptBytes = heapBytes() - heapBefore;
    const perPipe = Math.round(keptBytes / pipes);
    const rssMiB = [rssBefore, process.memoryUsage.rss()].map((bytes) => Math.round(bytes / 2 ** 20));
    console.log("pipe leaks:", { ...scene.seen, pipes, before, after, heapBefore, keptBytes, perPipe, rssMiB });
    expect(pipes).toBeGreaterThanOrEqual(1_000);
    expect(Math.min(scene.seen.ice, scene.seen.hardNat)).toBeGreaterThan(0);
    expect({ before, after, isBack: isBack() }).toMatchObject({ isBack: true });
    expect(perPipe).toBeLessThan(KEPT_BYTES_PER_PIPE);
  },
  LIMIT_MS,
);

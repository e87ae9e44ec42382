import { expect, spyOn, test } from "bun:test";
import { connect } from "node:quic";
import { type OpenedLink, openLink } from "../../src/app/streams/opened-link.ts";
import { openStreamPool } from "../../src/app/streams/stream-pool.ts";
import { CreditBudget, FIRST_WINDOW_BYTES } from "../../src/core/streams/credit.ts";
import { dataHeader, finFrame } from "../../src/core/streams/frame.ts";
import { encodeHello } from "../../src/core/streams/link-greeting.ts";
import { type QuicCredentials, QuicDialer } from "../../src/io/quic/quic.ts";
import { OpeningSession, type QuicSession } from "../../src/io/quic/quic-session.ts";
import type { QuicStream } from "../../src/io/quic/quic-stream.ts";
import { utf8 } from "../bytes.ts";
import { fuzzSeeds, Random } from "../random.ts";
import { identity, strangersCa } from "./support/identities.ts";
import { PipePair } from "./support/pipe-pair.ts";
import { homeIdentity, StreamUser, streamEnds } from "./support/stream-ends.ts";
import { udpEnd } from "./support/udp-end.ts";
import { until } from "./support/until.ts";

/** A peer that has a pipe, and speaks QUIC on it as it likes. */
class RawPeer implements Disposable {
  readonly closed: string[] = [];
  readonly #dialer: QuicDialer;
  readonly #link: OpenedLink;

  constructor(link: OpenedLink, who: QuicCredentials) {
    this.#link = link;
    this.#dialer = new QuicDialer(who);
  }

  get port(): number {
    return this.#link.port;
  }

  dial(): Promise<QuicSession> {
    return this.#dialer.dial(
      { peer: "office", port: this.#link.port },
      (port) => {
        this.#link.dialerPort = port;
      },
      {
        opened: () => {},
        stream: () => {},
        datagram: () => {},
        closed: (reason) => void this.closed.push(reason ?? "by this end"),
      },
    );
  }

  set dialerPort(port: number) {
    this.#link.dialerPort = port;
  }

  [Symbol.dispose](): void {
    this.#link[Symbol.dispose]();
    this.#dialer[Symbol.dispose]();
  }
}

/** What of it is not zero. */
function counted(counts: ReadonlyMap<string, number>): [string, number][] {
  return [...counts].filter(([, count]) => count > 0);
}

/** Another pipe of `home`'s to the service of `ends`. */
async function rawPeer(ends: Awaited<ReturnType<typeof streamEnds>>, who: QuicCredentials = homeIdentity) {
  const pair = new PipePair("home", (plane, pipe, peer) => ends.service.accept(plane, pipe, peer));
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const link = await openLink({ plane: pair.opener, to: "office", service: "socks", up: resolve, down: () => {} });
  expect(await promise).toBe(false);
  return new RawPeer(link, who);
}

/** What a peer that was reset, or told nothing, has seen of its stream. */
function started(stream: QuicStream): { readonly closed: (number | undefined)[] } {
  const closed: (number | undefined)[] = [];
  stream.start({ data: () => {}, drained: () => {}, closed: (code) => void closed.push(code) });
  return { closed };
}

test("a certificate of our CA under another name than the pipe's is refused, and counted", async () => {
  using ends = await streamEnds();
  using peer = await rawPeer(ends, await identity({ cn: "neighbour" }));
  await peer.dial();
  await until("it is told", () => peer.closed.length > 0);
  expect(peer.closed).toEqual(["not welcome"]);
  expect(counted(ends.service.status().refused)).toEqual([["wrong_cn", 1]]);
  expect(ends.logbook.find("streams_refused", { reason: "wrong_cn", peer: "neighbour", pipe_of: "home" })).toHaveLength(
    1,
  );
});

test("the right name without a pipe is refused: another program of this machine has dialled", async () => {
  using ends = await streamEnds();
  using dialer = new QuicDialer(homeIdentity);
  const closed: (string | undefined)[] = [];
  const handlers = {
    opened: () => {},
    stream: () => {},
    datagram: () => {},
    closed: (why?: string) => void closed.push(why),
  };
  await dialer.dial({ peer: "office", port: ends.service.port }, () => {}, handlers);
  await until("it is told", () => closed.length > 0);
  expect(closed).toEqual(["not welcome"]);
  expect(counted(ends.service.status().refused)).toEqual([["wrong_cn", 1]]);
});

test("no certificate, and one of another CA: refused, and counted", async () => {
  using ends = await streamEnds();
  using peer = await rawPeer(ends, await identity({ cn: "home", issuer: strangersCa }));
  expect(peer.dial()).rejects.toMatchObject({ kind: "peer-not-reachable" });
  await until("it is counted", () => ends.service.status().refused.get("handshake") === 1);
  const bare = await connect({ address: "127.0.0.1", port: ends.service.port } as never, {
    ...{ alpn: "ut-streams-1" as never, servername: "office.ut.internal" },
    ...{ ca: [Buffer.from(homeIdentity.ca)], verifyPeer: "auto" },
  });
  for (const promise of [bare.opened, bare.closed]) promise.catch(() => {});
  await until("it is counted", () => ends.service.status().refused.get("bad_certificate") === 1);
  await until("the pool's connections are there, and no other", () => ends.service.status().connections === 2);
});

test("an agent that shows another name is not talked to, and the log says why", async () => {
  using ends = await streamEnds();
  const pair = new PipePair("home", (plane, pipe, peer) => ends.service.accept(plane, pipe, peer));
  using pool = await openStreamPool({
    ...{ plane: pair.opener, to: "cellar", service: "socks", identity: homeIdentity },
    log: ends.logbook.log("socks"),
  });
  expect(pool.open(new StreamUser(), AbortSignal.timeout(200))).rejects.toMatchObject({ kind: "peer-not-reachable" });
  await until("it has failed", () => (pool.status().refused.get("handshake") ?? 0) > 0);
  expect(pool.problem).toMatch(/Cannot connect to cellar: .*Hostname mismatch/);
  expect(ends.logbook.has("streams_fail", { peer: "cellar" })).toBe(true);
});

test("an agent that sends every connection away is not dialled on and on", async () => {
  using ends = await streamEnds();
  const pair = new PipePair("home", (plane, pipe, peer) => ends.service.accept(plane, pipe, peer));
  using _pool = await openStreamPool({
    ...{ plane: pair.opener, to: "office", service: "socks", identity: await identity({ cn: "neighbour" }) },
    log: ends.logbook.log("socks"),
  });
  const refused = () => ends.service.status().refused.get("wrong_cn") ?? 0;
  await until("it was sent away, and tried again", () => refused() > 2);
  await Bun.sleep(200);
  // Without a pause it would be hundreds.
  expect(refused()).toBeLessThan(12);
});

test("a connection that ends while it is being opened is none", async () => {
  using ends = await streamEnds();
  const pair = new PipePair("home", (plane, pipe, peer) => ends.service.accept(plane, pipe, peer));
  // It is sent away meanwhile.
  using _ = spyOn(OpeningSession.prototype, "beat").mockImplementation(() => Bun.sleep(50));
  using pool = await openStreamPool({
    ...{ plane: pair.opener, to: "office", service: "socks", identity: await identity({ cn: "neighbour" }) },
    log: ends.logbook.log("socks"),
  });
  await until("both have failed", () => (pool.status().refused.get("handshake") ?? 0) > 1);
  expect([pool.status().connections, pool.problem]).toEqual([0, "Cannot connect to office: not welcome"]);
});

test("garbage at QUIC's door, through a pipe and beside it, costs nobody anything", async () => {
  using ends = await streamEnds();
  const [seed = 0] = fuzzSeeds("garbage", 1);
  const random = new Random(seed);
  const pair = new PipePair("home", (plane, pipe, peer) => ends.service.accept(plane, pipe, peer));
  pair.opener.open("office", "socks", { deliver: () => {}, direct: () => {}, closed: () => {} });
  using stranger = await udpEnd();
  for (let i = 0; i < 2_000; i++) {
    const bytes = random.bytes(random.pick([1, 17, 18, 21, 60, 1_200, 1_340]));
    // Half of them begin as QUIC's first packet does.
    if (random.oneIn(2)) bytes.set([0xc0, 0, 0, 0, 1, 8].slice(0, bytes.length));
    if (random.oneIn(2)) pair.opener.send(1, 1, bytes);
    else stranger.sendTo(ends.service.port, bytes);
    if (i === 500) pair.opener.send(1, 1, encodeHello(random.bytes(16)));
    if (i % 50 === 0) await Bun.sleep(0);
  }
  const { ours, theirs } = await ends.open();
  await ours.write(100_000);
  await until("a stream works", () => theirs.read === 100_001);
  await until("the pool's connections are there, and no other", () => ends.service.status().connections === 2);
});

test.each<[string, readonly Uint8Array[], string]>([
  ["more than it was allowed", [dataHeader(FIRST_WINDOW_BYTES + 1)], "over_credit"],
  ["DATA behind its FIN", [finFrame(), dataHeader(1), utf8("x")], "after_fin"],
  ["something else altogether", [utf8("GET / HTTP/1.1\r\n\r\n")], "unknown_frame"],
])("a peer that sends %s loses that stream, and no other", async (_what, pieces, fault) => {
  using ends = await streamEnds();
  using peer = await rawPeer(ends);
  const session = await peer.dial();
  const [good, bad] = [await session.openStream(), await session.openStream()];
  started(good);
  good.write([dataHeader(1), Uint8Array.of(0)]);
  const { closed } = started(bad);
  bad.write(pieces);
  await until("it is reset", () => closed.length > 0);
  expect(closed).toEqual([0]);
  expect(ends.service.status()).toMatchObject({ streams: 1, streamsEnded: { finished: 0, reset: 0, lost: 1 } });
  expect(counted(ends.service.status().faults)).toEqual([[fault, 1]]);
  expect(ends.served.map(({ end }) => end?.type)).toContain("lost");
  good.write([dataHeader(1), Uint8Array.of(1)]);
  await until("the other one works", () => ends.served.some(({ read }) => read === 2));
});

test("a peer that sends on and on without leave never has more kept than it was allowed", async () => {
  using ends = await streamEnds();
  using peer = await rawPeer(ends);
  const session = await peer.dial();
  const stream = await session.openStream();
  const { closed } = started(stream);
  stream.write([dataHeader(FIRST_WINDOW_BYTES), new Uint8Array(FIRST_WINDOW_BYTES)]);
  await until("the service has it", () => ends.served.length === 1);
  ends.served[0]?.rest();
  let most = 0;
  for (let i = 0; i < 200 && closed.length === 0; i++) {
    stream.write([dataHeader(FIRST_WINDOW_BYTES), new Uint8Array(FIRST_WINDOW_BYTES)]);
    most = Math.max(most, ends.service.status().bufferedBytes);
    await Bun.sleep(0);
  }
  await until("it is reset", () => closed.length > 0);
  expect(most).toBeLessThanOrEqual(4 * FIRST_WINDOW_BYTES);
  expect(ends.service.status()).toMatchObject({ streams: 0, bufferedBytes: 0 });
});

test("more connections do not get a peer more memory", async () => {
  using joined = spyOn(CreditBudget.prototype, "join");
  using ends = await streamEnds();
  using peer = await rawPeer(ends);
  for (let i = 0; i < 3; i++) {
    const stream = await (await peer.dial()).openStream();
    started(stream);
    stream.write([dataHeader(1), Uint8Array.of(0)]);
  }
  await until("the service has them", () => ends.served.length === 3);
  expect(new Set(joined.mock.contexts).size).toBe(1);
});

test("QUIC's end of a stream without FIN is no end", async () => {
  using ends = await streamEnds();
  using peer = await rawPeer(ends);
  const session = await peer.dial();
  const stream = await session.openStream();
  started(stream);
  stream.write([dataHeader(1), Uint8Array.of(0)]);
  stream.end();
  await until("it is over", () => ends.served[0]?.end !== undefined);
  expect(ends.served[0]?.outcome).toEqual({
    read: 1,
    wrong: 0,
    hasEnded: false,
    end: { type: "lost", reason: "the peer ended the stream in the middle" },
  });
});

test("one pipe carries one link, a peer has sixteen, a link eight connections", async () => {
  using ends = await streamEnds();
  await until("the pool's link is there", () => ends.service.links === 1);
  using disposal = new DisposableStack();
  using busy = await rawPeer(ends);
  for (let i = 0; i < 8; i++) await busy.dial();
  await busy.dial();
  await until("one too many is refused", () => busy.closed.length > 0);
  expect(counted(ends.service.status().refused)).toEqual([["no_room", 1]]);
  for (let i = 0; i < 20; i++) {
    const pair = new PipePair("home", (plane, pipe, peer) => ends.service.accept(plane, pipe, peer));
    pair.opener.open("office", "socks", { deliver: () => {}, direct: () => {}, closed: () => {} });
    disposal.defer(() => pair.opener.close(1));
    await Bun.sleep(0);
    for (let link = 0; link < 3; link++) pair.opener.send(1, 1, encodeHello(new Uint8Array(16).fill(3 * i + link)));
  }
  await until("all have been greeted", () => ends.service.links === 16);
  disposal.dispose();
  await until("theirs are gone", () => ends.service.links === 2);
});

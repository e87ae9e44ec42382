import { describe, expect, test } from "bun:test";
import { networkInterfaces } from "node:os";
import { CONSENT_EXPIRY_MS } from "../../src/core/ice/consent.ts";
import { StunServer } from "../../src/core/stun/server.ts";
import { drive } from "../../src/io/drive.ts";
import { openFan } from "../../src/io/udp/udp-fan.ts";
import { iceEndpoint } from "./support/ice-end.ts";
import { drivenTime, turn, until } from "./support/until.ts";
import { type WeriftEnd, weriftEnd } from "./support/werift-end.ts";

/** Our agent and one of another make, on real sockets of loopback. */
const V4 = "127.0.0.1";
const V6 = "::1";
const hasV6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === V6));

type Ours = Awaited<ReturnType<typeof iceEndpoint>>;

interface Pair extends AsyncDisposable {
  readonly ours: Ours;
  readonly theirs: WeriftEnd;
}

async function pair(address: string, roles: { ours: boolean; theirs: boolean }): Promise<Pair> {
  await using opening = new AsyncDisposableStack();
  const sockets = opening.use(await openFan([{ address: V4 }]));
  opening.use(drive(new StunServer({ sockets: sockets.local }), sockets, () => {}));
  const ours = opening.use(await iceEndpoint(address, roles.ours));
  const [stun] = sockets.local;
  if (stun === undefined) throw new Error("There is no STUN server");
  const theirs = opening.use(await weriftEnd(address, roles.theirs, stun));
  const open = opening.move();
  return { ours, theirs, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

/** Tells each of the other and begins. */
async function begin({ ours, theirs }: Pair): Promise<void> {
  ours.setRemote(theirs.credentials);
  ours.addRemotes(theirs.candidates, true);
  theirs.setRemote(ours.credentials);
  await theirs.addRemotes(ours.candidates, true);
  ours.start();
  await theirs.connect();
}

/** Both use the same pair, one of them controls, and words go both ways over it. */
async function expectConnected({ ours, theirs }: Pair, controlling: boolean): Promise<void> {
  await until("both to select", () => ours.events.length > 0 && theirs.selected !== undefined);
  expect(ours.events.map(({ type }) => type)).toEqual(["selected"]);
  const { local, remote } = theirs.selected ?? {};
  expect(ours.selected).toMatchObject({ socket: 0, local: { endpoint: remote }, remote: { endpoint: local } });
  expect([ours.agent.controlling, theirs.controlling]).toEqual([controlling, !controlling]);
  ours.say("from ours");
  await theirs.say("from theirs");
  await until("words", () => ours.heard.length > 0 && theirs.heard.length > 0);
  expect([ours.heard, theirs.heard]).toEqual([["from theirs"], ["from ours"]]);
}

describe("werift-ice", () => {
  for (const address of [V4, V6])
    for (const controlling of [true, false])
      test.skipIf(address === V6 && !hasV6)(
        `ours ${controlling ? "controlling" : "controlled"}, ${address}`,
        async () => {
          await using both = await pair(address, { ours: controlling, theirs: !controlling });
          await begin(both);
          await expectConnected(both, controlling);
        },
      );

  for (const controlling of [true, false])
    test(`both ${controlling ? "controlling" : "controlled"}: the conflict is settled`, async () => {
      await using both = await pair(V4, { ours: controlling, theirs: controlling });
      await begin(both);
      await expectConnected(both, both.ours.agent.controlling);
    });

  test("candidates that come when both have begun", async () => {
    await using both = await pair(V4, { ours: true, theirs: false });
    const { ours, theirs } = both;
    ours.setRemote(theirs.credentials);
    theirs.setRemote(ours.credentials);
    ours.start();
    const connected = theirs.connect();
    await turn();
    expect(ours.events).toEqual([]);
    ours.addRemotes(theirs.candidates, true);
    await theirs.addRemotes(ours.candidates, true);
    await connected;
    await expectConnected(both, true);
  });

  test("it begins before we know its credentials", async () => {
    await using both = await pair(V4, { ours: false, theirs: true });
    const { ours, theirs } = both;
    theirs.setRemote(ours.credentials);
    await theirs.addRemotes(ours.candidates, true);
    const connected = theirs.connect();
    await until("a check", () => ours.agent.counters.answersSent > 0);
    ours.setRemote(theirs.credentials);
    ours.start();
    await connected;
    await expectConnected(both, false);
  });

  test("neither is told where the other is: ours finds it by its checks", async () => {
    await using both = await pair(V4, { ours: true, theirs: false });
    const { ours, theirs } = both;
    ours.setRemote(theirs.credentials);
    theirs.setRemote(ours.credentials);
    await theirs.addRemotes(ours.candidates, true);
    ours.start();
    await theirs.connect();
    await expectConnected(both, true);
    expect(ours.selected?.remote.type).toBe("prflx");
  });

  test("a wrong password opens nothing", async () => {
    using time = drivenTime();
    await using both = await pair(V4, { ours: true, theirs: false });
    const { ours, theirs } = both;
    ours.setRemote({ ...theirs.credentials, pwd: "wrong-wrong-wrong-wrong" });
    ours.addRemotes(theirs.candidates, true);
    ours.start();
    for (let i = 0; i < 12 && ours.events.length === 0; i++) {
      time.advance(500);
      await turn();
    }
    expect(ours.events.map((event) => (event.type === "failed" ? event.cause : event.type))).toEqual(["timeout"]);
  });
});

describe("consent with werift-ice, in driven time", () => {
  /** Long enough for a check and its answer to come through between two steps. */
  async function pass(time: { advance(ms: number): void }, ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 500) {
      time.advance(500);
      for (let i = 0; i < 10; i++) await turn();
    }
  }

  for (const controlling of [true, false])
    test(`ours ${controlling ? "controlling" : "controlled"}: each keeps the other alive, and notices when it is gone`, async () => {
      using time = drivenTime();
      await using both = await pair(V4, { ours: controlling, theirs: !controlling });
      const { ours, theirs } = both;
      const begun = begin(both);
      await expectConnected(both, controlling);
      // Its own timers are driven, too.
      await until("it to be connected", () => theirs.connection.state === "connected");
      await begun;
      await pass(time, 4 * CONSENT_EXPIRY_MS);
      expect([ours.events.length, theirs.connection.state]).toEqual([1, "connected"]);
      expect(theirs.connection.nominated?.consentRequestsSent).toBeGreaterThanOrEqual(20);
      if (controlling) {
        ours.agent.stop();
        await pass(time, CONSENT_EXPIRY_MS + 1_000);
        expect(theirs.connection.state).toBe("failed");
      } else {
        await theirs.connection.close();
        await pass(time, CONSENT_EXPIRY_MS + 1_000);
        expect(ours.events.map(({ type }) => type)).toEqual(["selected", "consent-lost"]);
      }
    });
});

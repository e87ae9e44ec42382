import { expect, test } from "bun:test";
import { concat } from "../bytes.ts";
import { controlPdu } from "../e2e/support/raw-lane.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";
import { greeted } from "../unit/app/greeted-control.ts";

/** The server's end of a control connection: whatever comes in whatever pieces, to a socket that takes what it likes. */
const RUNS = 80;

test(
  "messages in any pieces are heard each, and answered each in order, however little the socket takes at a time",
  () => {
    for (const seed of fuzzSeeds("control-link pieces", RUNS)) {
      const random = new Random(seed);
      const { service, pipe, link, refusals } = greeted(random.pick([0, 1, 100, Number.POSITIVE_INFINITY]));
      const ids = Array.from({ length: random.between(1, 60) }, () => random.below(2 ** 31));
      const stream = concat(ids.flatMap((id) => [controlPdu({ type: "ping", id }), ...strange(random)]));
      for (let at = 0; at < stream.length; ) {
        const piece = random.between(1, random.pick([1, 10, 3_000]));
        link.data(stream.slice(at, at + piece));
        at += piece;
        pipe.room = random.between(0, 200);
        link.drained();
      }
      pipe.room = Number.POSITIVE_INFINITY;
      link.drained();
      const pongs = pipe.said.filter(({ type }) => type === "pong").map(({ id }) => id);
      expect({ seed, pongs, refusals, ended: pipe.ended }).toEqual({
        seed,
        pongs: ids,
        refusals: [],
        ended: undefined,
      });
      link.closed(undefined);
      service[Symbol.dispose]();
    }
  },
  SLOW_MACHINE_MS,
);

test(
  "bytes of any kind end it with one refusal, or not at all",
  () => {
    for (const seed of fuzzSeeds("control-link bytes", RUNS)) {
      const random = new Random(seed);
      const { service, pipe, link, refusals } = greeted();
      for (let i = 0; i < 30; i++) {
        const bytes = controlPdu({ type: random.pick(TYPES), channel: random.pick([1, 0, "x"]), channels: [1], id: 1 });
        for (let flips = random.below(3); flips > 0; flips--) bytes[random.below(bytes.length)] = random.below(256);
        link.data(random.oneIn(20) ? random.bytes(random.below(40)) : bytes);
      }
      const errors = pipe.said.filter(({ type }) => type === "err").map(({ kind }) => kind);
      const ended = refusals.length > 0 || pipe.said.at(-1)?.type === "goodbye" ? "end" : undefined;
      expect({ seed, errors, ended: pipe.ended }).toEqual({ seed, errors: refusals, ended });
      expect(refusals.length).toBeLessThanOrEqual(1);
      link.closed(undefined);
      expect(service.status()).toMatchObject({ connections: 0, members: [] });
      service[Symbol.dispose]();
    }
  },
  SLOW_MACHINE_MS,
);

const TYPES = ["ping", "pong", "resume", "register", "p2p_close", "goodbye", "weather"] as const;

/** What an honest peer of another version may say. */
function strange(random: Random): Uint8Array[] {
  return random.oneIn(4) ? [controlPdu({ type: "weather", text: "x".repeat(random.below(2_000)) })] : [];
}

import { expect, test } from "bun:test";
import {
  MAX_CONTENT_BYTES,
  type ProbeBody,
  type ProbeKind,
  plainCodec,
  tokenCodec,
} from "../../src/core/punch/probe.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";

const RUNS = 20_000;
const KINDS: ProbeKind[] = ["probe", "hit", "confirm", "confirmed"];
const plain = { nat3: plainCodec("nat3"), nat4: plainCodec("nat4") };
const sealed = { nat3: tokenCodec("nat3", "secret"), nat4: tokenCodec("nat4", "secret") };

function anyBody(random: Random): ProbeBody {
  const number64 = () => new DataView(random.bytes(8).buffer).getBigUint64(0);
  const content = random.pick(["", "a", "ü", "🜁"]).repeat(random.below(MAX_CONTENT_BYTES / 4));
  return { nonce: number64(), echo: number64(), number: random.below(2 ** 32), content };
}

/** Valid, cut, lengthened, with a flipped bit, or nothing that ever was a probe. */
function mangled(random: Random, bytes: Uint8Array): Uint8Array {
  switch (random.below(4)) {
    case 0:
      return bytes.subarray(0, random.below(bytes.length));
    case 1:
      return Uint8Array.of(...bytes, ...random.bytes(random.between(1, 20)));
    case 2: {
      const at = random.below(bytes.length);
      return bytes.with(at, (bytes[at] ?? 0) ^ (1 << random.below(8)));
    }
    default:
      return Uint8Array.of(...bytes.subarray(0, random.below(6)), ...random.bytes(random.below(80)));
  }
}

test(
  "what was encoded comes back, what was changed never counts under a token, nothing ever throws",
  () => {
    for (const seed of fuzzSeeds("probe", RUNS)) {
      const random = new Random(seed);
      const kind = random.pick(KINDS);
      const body = anyBody(random);
      const from = random.pick(["nat3", "nat4"] as const);
      const to = from === "nat3" ? "nat4" : "nat3";
      for (const codecs of [plain, sealed]) {
        const bytes = codecs[from].encode(kind, body);
        const got = codecs[to].decode(bytes);
        if (!Bun.deepEquals(got, { ok: true, kind, body }))
          expect({ seed, got }).toEqual({ seed, got: { ok: true, kind, body } });
        const changed = mangled(random, bytes);
        // Plain probes may change into other probes: they are nobody's word. They must still say only what they hold.
        const read = codecs[to].decode(changed);
        if (
          read.ok &&
          (codecs.nat3.authenticated ||
            !Bun.deepEquals(codecs[from].encode(read.kind, read.body).subarray(6), changed.subarray(6)))
        )
          expect<unknown>({ seed, ok: read.ok }).toEqual({ seed, ok: false });
      }
    }
  },
  SLOW_MACHINE_MS,
);

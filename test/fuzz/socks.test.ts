import { expect, test } from "bun:test";
import { canonicalIp } from "../../src/core/net/ip.ts";
import { type Destination, NO_ADDRESS } from "../../src/core/socks/address.ts";
import { ExitPolicy } from "../../src/core/socks/exit-policy.ts";
import { parseExitRule } from "../../src/core/socks/exit-rule.ts";
import {
  ExitAnswerReader,
  ExitRequestReader,
  encodeExitAnswer,
  encodeExitRequest,
} from "../../src/core/socks/exit-wire.ts";
import { ProxyHandshake } from "../../src/core/socks/handshake.ts";
import { decodeUdp, encodeUdp } from "../../src/core/socks/udp-header.ts";
import { authenticator } from "../../src/core/socks/users.ts";
import { hex } from "../bytes.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";

const RUNS = 20_000;
const text = (value: string) => new TextEncoder().encode(value);
const USERS = authenticator({ ann: "secret" });
/** More than any of the messages needs; an HTTP head is the longest. */
const LONG_ENOUGH = 17_000;

/** Handshakes, requests and datagrams as they should be. */
const SEEDS: readonly Uint8Array[] = [
  hex("050100 05010001 08080404 0050"),
  hex("050100 05010003 05 6e61732e61 0050"),
  hex(`050102 01 03 616e6e 06 736563726574 05030004 ${"00".repeat(16)} 0000`),
  hex("000000 01 08080404 0035 0102"),
  hex("000000 03 05 6e61732e61 0035 0102"),
  text("CONNECT a.example:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
  text(`CONNECT [::1]:443 HTTP/1.1\r\nProxy-Authorization: Basic ${btoa("ann:secret")}\r\n\r\n`),
  encodeExitRequest({ command: "connect", to: { host: "a.example", port: 443 } }),
  encodeExitRequest({ command: "udp", to: NO_ADDRESS }),
  encodeExitAnswer("refused", { host: "192.0.2.1", port: 1 }),
];

function mangle(random: Random): Uint8Array {
  if (random.oneIn(8)) return random.bytes(random.below(700));
  const bytes = random.pick(SEEDS).slice();
  for (let change = random.below(4); change > 0; change--)
    bytes[random.below(bytes.length)] = random.pick([0, 1, 3, 4, 5, 0x7f, 0xff, random.below(256)]);
  if (random.oneIn(4)) return bytes.subarray(0, random.below(bytes.length + 1));
  if (random.oneIn(50)) return Uint8Array.from([...bytes, ...random.bytes(LONG_ENOUGH)]);
  return bytes;
}

function expectSound({ host, port }: Destination): void {
  expect(port >= 0 && port <= 65_535).toBe(true);
  expect(host.length > 0 && host.length <= 255 && !/[^\x21-\x7e]/.test(host)).toBe(true);
  // An address is in its one text, whatever it was written as.
  expect(canonicalIp(host) ?? host).toBe(host);
}

test(
  "handshakes: any bytes, in any pieces, are a request with sound fields, a refusal, or too few",
  () => {
    for (const seed of fuzzSeeds("socks handshakes", 1)) {
      const random = new Random(seed);
      for (let run = 0; run < RUNS; run++) {
        const bytes = mangle(random);
        const authenticate = random.oneIn(2) ? USERS : undefined;
        const whole = outcome(bytes, [bytes.length], authenticate);
        const cuts = [random.below(bytes.length + 1), random.below(bytes.length + 1), bytes.length].sort(
          (a, b) => a - b,
        );
        // In pieces the outcome is the same.
        expect(outcome(bytes, cuts, authenticate)).toEqual(whole);
        if (whole.step === "more") expect(bytes.length).toBeLessThan(LONG_ENOUGH);
      }
    }
  },
  SLOW_MACHINE_MS,
);

function outcome(bytes: Uint8Array, cuts: readonly number[], authenticate: ReturnType<typeof authenticator>) {
  const handshake = new ProxyHandshake(authenticate);
  const answers: number[] = [];
  let from = 0;
  for (const to of cuts) {
    const step = handshake.push(bytes.slice(from, to));
    from = to;
    answers.push(...step.answer);
    if (step.type === "more") continue;
    if (step.type === "refused") return { step: step.fault, answers };
    expectSound(step.request.command === "connect" ? step.request.to : step.request.from);
    const early = [...step.early, ...bytes.slice(from)];
    return { step: step.type, answers, request: step.request, early };
  }
  return { step: "more", answers };
}

test(
  "requests, answers and datagrams: any bytes are sound or a kind, and what is sound comes back as it was",
  () => {
    for (const seed of fuzzSeeds("socks codecs", 1)) {
      const random = new Random(seed);
      for (let run = 0; run < RUNS; run++) {
        const bytes = mangle(random);
        const request = new ExitRequestReader().push(bytes);
        if (request.type === "message") {
          expectSound(request.message.to);
          const again = new ExitRequestReader().push(encodeExitRequest(request.message));
          expect(again).toEqual({ ...request, rest: new Uint8Array(0) });
        }
        const answer = new ExitAnswerReader().push(bytes);
        if (answer.type === "message") expectSound(answer.message.bound);
        const datagram = decodeUdp(bytes);
        if (!datagram.ok) continue;
        expectSound(datagram.destination);
        expect(decodeUdp(encodeUdp(datagram.destination, datagram.payload))).toEqual(datagram);
      }
    }
  },
  SLOW_MACHINE_MS,
);

test(
  "an exit without rules: no address that leads to an IPv4 network of its own is let in, however it is written",
  () => {
    const exit = new ExitPolicy({ rules: [], isOwn: () => false });
    for (const seed of fuzzSeeds("socks exit", 1)) {
      const random = new Random(seed);
      for (let run = 0; run < RUNS; run++) {
        const [a, b, c, d] = [
          random.pick([10, 127, 0, 224, 255]),
          random.below(256),
          random.below(256),
          random.below(256),
        ];
        const ipv4 = `${a}.${b}.${c}.${d}`;
        const group = (high: number, low: number) => ((high << 8) | low).toString(16);
        const forms = [
          ipv4,
          `::ffff:${ipv4}`,
          `::${ipv4}`,
          `::ffff:0:${ipv4}`,
          `64:ff9b::${ipv4}`,
          `64:ff9b:1::${ipv4}`,
          `2002:${group(a, b)}:${group(c, d)}::1`,
          `2001:0:808:808::${group(a ^ 0xff, b ^ 0xff)}:${group(c ^ 0xff, d ^ 0xff)}`,
          `2001:0:${group(a, b)}:${group(c, d)}::1`,
        ];
        expect(forms.filter((form) => exit.refusal(form, 80, "a.example") === undefined)).toEqual([]);
      }
    }
  },
  SLOW_MACHINE_MS,
);

test("rules as text: any text is a rule or none", () => {
  for (const seed of fuzzSeeds("socks rules", 1)) {
    const random = new Random(seed);
    for (let run = 0; run < RUNS; run++) {
      const letters = Array.from({ length: random.below(12) }, () => random.pick([..."public*.:-/[]0129af "]));
      const rule = parseExitRule(letters.join(""));
      if (rule !== undefined) expect(rule.firstPort <= rule.lastPort && rule.lastPort <= 65_535).toBe(true);
    }
  }
});

import { expect, test } from "bun:test";
import { ReflexBook, type ReflexWitness } from "../../../../src/core/nat/reflex.ts";
import type { Endpoint } from "../../../../src/core/net/endpoint.ts";

const A: Endpoint = { address: "198.51.100.2", port: 4_000 };
const B: Endpoint = { address: "198.51.100.2", port: 5_000 };
const TEN_MINUTES = 600_000;

function bookOf(...seen: [ReflexWitness, string, Endpoint, number][]): ReflexBook {
  const book = new ReflexBook();
  for (const [source, who, mapped, at] of seen) book.observe({ source, who, mapped, at });
  return book;
}

test("nobody has seen anything", () => {
  expect(new ReflexBook().best(0)).toBeUndefined();
});

test("most servers win, and it shows how many did not agree", () => {
  const book = bookOf(["stun", "one", A, 1], ["stun", "two", B, 3], ["server", "home", A, 2]);
  expect(book.best(4)).toEqual({ endpoint: A, source: "stun", agreeing: 2, dissenting: 1 });
});

test("of equals the last one wins: behind a symmetric NAT everybody sees another", () => {
  expect(bookOf(["stun", "one", A, 2], ["stun", "two", B, 1]).best(3)?.endpoint).toEqual(A);
  expect(bookOf(["stun", "one", A, 1], ["stun", "two", B, 2]).best(3)).toEqual({
    endpoint: B,
    source: "stun",
    agreeing: 1,
    dissenting: 1,
  });
});

test("a witness has one vote, its latest", () => {
  const book = bookOf(["stun", "one", A, 1], ["stun", "one", B, 2]);
  expect(book.best(3)).toEqual({ endpoint: B, source: "stun", agreeing: 1, dissenting: 0 });
});

test("peers count only where no server has seen it, however many they are", () => {
  const peers = Array.from(
    { length: 100 },
    (_, i) => ["peer", `peer-${i}`, B, i] as [ReflexWitness, string, Endpoint, number],
  );
  expect(bookOf(["stun", "one", A, 0], ...peers).best(100)?.endpoint).toEqual(A);
  expect(bookOf(...peers).best(100)).toEqual({ endpoint: B, source: "peer", agreeing: 64, dissenting: 0 });
});

test("a book full of servers takes another server, for the oldest, and no peer", () => {
  const servers = Array.from(
    { length: 64 },
    (_, i) => ["stun", `stun-${i}`, A, i] as [ReflexWitness, string, Endpoint, number],
  );
  const book = bookOf(...servers, ["peer", "p", B, 70], ["stun", "another", B, 71]);
  expect(book.best(72)).toEqual({ endpoint: A, source: "stun", agreeing: 63, dissenting: 1 });
});

test("observations age, and a changed network forgets them at once", () => {
  const book = bookOf(["stun", "one", A, 0], ["stun", "two", A, 1]);
  expect(book.best(TEN_MINUTES)?.agreeing).toBe(2);
  expect(book.best(TEN_MINUTES + 1)?.agreeing).toBe(1);
  expect(book.best(TEN_MINUTES + 2)).toBeUndefined();
  book.observe({ source: "server", who: "home", mapped: B, at: 1 });
  book.forget();
  expect(book.best(2)).toBeUndefined();
});

test("a port mapping wins over what is seen, an override over both, until each is taken back", () => {
  const mapped: Endpoint = { address: "198.51.100.2", port: 6_000 };
  const given: Endpoint = { address: "203.0.113.5", port: 7_000 };
  const book = bookOf(["server", "home", A, 0]);
  const said = () => [book.best(1)?.endpoint, book.best(1)?.source];
  book.setPortMapping(mapped);
  expect(said()).toEqual([mapped, "port-mapping"]);
  book.setOverride(given);
  expect(said()).toEqual([given, "override"]);
  book.forget();
  expect(said()).toEqual([given, "override"]);
  book.setOverride(undefined);
  expect(said()).toEqual([mapped, "port-mapping"]);
  book.setPortMapping(undefined);
  expect(said()).toEqual([undefined, undefined]);
});

import { expect, test } from "bun:test";
import { SeenCertificates } from "../../../../src/app/tunnel/seen-certificates.ts";

const day = (number: number) => new Date(Date.UTC(2030, 0, number));

test("the last certificate of each name, by name", () => {
  const seen = new SeenCertificates();
  seen.saw("office", day(9), day(1));
  seen.saw("home", day(8), day(2));
  seen.saw("office", day(20), day(3));
  expect(seen.peers).toEqual([
    { cn: "home", notAfter: "2030-01-08T00:00:00.000Z", seenAt: "2030-01-02T00:00:00.000Z" },
    { cn: "office", notAfter: "2030-01-20T00:00:00.000Z", seenAt: "2030-01-03T00:00:00.000Z" },
  ]);
});

test("of more than 1024 names the one seen longest ago goes", () => {
  const seen = new SeenCertificates();
  for (let i = 0; i < 1_024; i++) seen.saw(`node-${i}`, day(9), day(1));
  seen.saw("node-0", day(9), day(2));
  seen.saw("one-more", day(9), day(3));
  const names = seen.peers.map(({ cn }) => cn);
  expect(names).toHaveLength(1_024);
  expect(["node-0", "node-1", "one-more"].filter((name) => names.includes(name))).toEqual(["node-0", "one-more"]);
});

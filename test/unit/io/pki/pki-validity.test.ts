import { expect, test } from "bun:test";
import { daysLeft, formatTime, formatTimeLeft, validityAt } from "../../../../src/io/pki/pki-validity.ts";

const notBefore = new Date("2030-01-01T00:00:00Z");
const notAfter = new Date("2030-04-11T00:00:00Z");
const validity = { notBefore, notAfter };

test("both ends belong to the validity (RFC 5280 §4.1.2.5)", () => {
  const at = (ms: number) => validityAt(validity, new Date(ms));
  expect([at(notBefore.getTime() - 1), at(notBefore.getTime())]).toEqual(["not-yet-valid", "valid"]);
  expect([at(notAfter.getTime()), at(notAfter.getTime() + 1)]).toEqual(["valid", "expired"]);
});

test.each([
  ["2030-01-01T00:00:00Z", "100 days left", 100],
  ["2030-04-09T00:00:01Z", "47 hours left", 1],
  ["2030-04-10T22:00:00Z", "2 hours left", 0],
  ["2030-04-10T22:30:00Z", "90 minutes left", 0],
  ["2030-04-10T23:59:59.500Z", "1 s left", 0],
  ["2030-04-11T00:01:00Z", "expired 60 s ago", -1],
  ["2030-05-11T00:00:00Z", "expired 30 days ago", -30],
  ["2029-12-31T19:00:00Z", "valid in 5 hours", 100],
])("at %s: %s", (now, text, days) => {
  expect(formatTimeLeft(validity, new Date(now))).toBe(text);
  expect(daysLeft(validity, new Date(now))).toBe(days);
});

test("times show seconds and UTC, as certificates keep them", () => {
  expect(formatTime(new Date("2030-01-02T03:04:05.678Z"))).toBe("2030-01-02 03:04:05Z");
});

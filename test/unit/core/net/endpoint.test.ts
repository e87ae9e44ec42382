import { expect, test } from "bun:test";
import { formatEndpoint, parseEndpoint, sameEndpoint } from "../../../../src/core/net/endpoint.ts";

test.each([
  ["203.0.113.7:3478", { address: "203.0.113.7", port: 3478 }],
  ["[2001:db8::1]:0", { address: "2001:db8::1", port: 0 }],
  ["0.0.0.0:65535", { address: "0.0.0.0", port: 65_535 }],
])("%s reads and writes", (text, endpoint) => {
  expect(parseEndpoint(text)).toEqual(endpoint);
  expect(formatEndpoint(endpoint)).toBe(text);
});

test.each(["", "203.0.113.7", "203.0.113.7:65536", "203.0.113.7:", "2001:db8::1:80", "[203.0.113.7]:1", "host:80"])(
  "%p is none",
  (text) => expect(parseEndpoint(text)).toBeUndefined(),
);

test("two ends are the same when address and port are", () => {
  const end = { address: "203.0.113.7", port: 1 };
  expect(sameEndpoint(end, { ...end })).toBe(true);
  expect(sameEndpoint(end, { ...end, port: 2 })).toBe(false);
  expect(sameEndpoint(end, { ...end, address: "203.0.113.8" })).toBe(false);
});

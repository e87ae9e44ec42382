import { expect } from "bun:test";
import type { TlsIdentity } from "../../../src/io/lanes/tls-lane.ts";
import { Logbook } from "./logbook.ts";
import { PAYLOAD_MARK } from "./udp-end.ts";

/** Nothing that the nodes of this test file have logged shows a payload or a key. Call it when all tests have run. */
export function expectNoSecretsInLogs(...identities: TlsIdentity[]): void {
  const all = Logbook.everything.join("");
  expect(all.length).toBeGreaterThan(0);
  const keyLines = identities.flatMap(({ key }) => key.split("\n").filter((line) => line.length > 40));
  expect(keyLines.length).toBeGreaterThanOrEqual(identities.length);
  const secrets = ["PRIVATE KEY", PAYLOAD_MARK, Buffer.from(PAYLOAD_MARK).toString("base64"), ...keyLines];
  expect(secrets.filter((secret) => all.includes(secret))).toEqual([]);
}

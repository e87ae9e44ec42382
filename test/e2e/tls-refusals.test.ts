import { afterAll, describe, expect, test } from "bun:test";
import type { TlsIdentity } from "../../src/io/lanes/tls-lane.ts";
import { ca, expired, identity, namesakeCa, notYetValid, serverIdentity, strangersCa } from "./support/identities.ts";
import { dataPdu, rawLane } from "./support/raw-lane.ts";
import { expectIntact, scene } from "./support/scene.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked } from "./support/udp-end.ts";
import { until } from "./support/until.ts";

/** Who gets no further than a server's handshake, and what its log says of it. */

const good = await identity({ cn: "good" });

afterAll(() => expectNoSecretsInLogs(good, serverIdentity));

interface Refusal {
  readonly name: string;
  readonly identity: Partial<TlsIdentity>;
  readonly reason: string;
  readonly detail: RegExp;
}

const REFUSALS: readonly Refusal[] = [
  {
    name: "no certificate",
    identity: { ca: ca.cert },
    reason: "no_certificate",
    detail: /PEER_DID_NOT_RETURN_A_CERTIFICATE/,
  },
  {
    name: "a certificate of another CA",
    identity: await identity({ cn: "good", issuer: strangersCa }),
    reason: "wrong_ca",
    detail: /unable to/,
  },
  {
    name: "a certificate of another CA of the same name",
    identity: await identity({ cn: "good", issuer: namesakeCa }),
    reason: "wrong_ca",
    detail: /./,
  },
  {
    name: "an expired certificate",
    identity: await identity({ cn: "late", ...expired }),
    reason: "expired",
    detail: /expired/,
  },
  {
    name: "a certificate that is not valid yet",
    identity: await identity({ cn: "early", ...notYetValid }),
    reason: "not_yet_valid",
    detail: /not yet valid/,
  },
  {
    name: "no CN",
    identity: await identity({ subject: [{ O: "nobody" }] }),
    reason: "bad_cn",
    detail: /exactly one CN .* found none$/,
  },
  {
    name: "two CNs",
    identity: await identity({ subject: [{ CN: "good" }, { CN: "better" }] }),
    reason: "bad_cn",
    detail: /exactly one CN .* found good, better$/,
  },
  {
    name: "a CN with a space",
    identity: await identity({ subject: [{ CN: "good bye" }] }),
    reason: "bad_cn",
    detail: /found good bye$/,
  },
  {
    name: "a CN with a line break",
    identity: await identity({ subject: [{ CN: "good\nevent" }] }),
    reason: "bad_cn",
    detail: /exactly one CN/,
  },
  {
    name: "a certificate for servers only",
    identity: await identity({ cn: "good", usages: ["serverAuth"], hosts: ["127.0.0.1"] }),
    reason: "wrong_purpose",
    detail: /purpose/,
  },
  {
    name: "a CN of tls.deny_cn",
    identity: await identity({ cn: "banned" }),
    reason: "denied_cn",
    detail: /^CN banned is in tls.deny_cn$/,
  },
];

describe("a server refuses", () => {
  for (const maxVersion of ["TLSv1.3", "TLSv1.2"] as const) {
    for (const { name, identity: who, reason, detail } of REFUSALS) {
      test(`${name} (${maxVersion})`, async () => {
        await using at = await scene({ tls: { deny_cn: ["banned", "others"] } });
        using lane = await rawLane({ port: at.server.port, identity: who, maxVersion });
        lane.hello();
        lane.send(dataPdu(marked(1_000_000)));
        await lane.closed();
        await until("the log line", () => at.server.logbook.has("tls_handshake_fail"));
        expect([...at.server.role.status().tlsHandshakeFailures]).toEqual([[reason, 1]]);
        expect(at.server.logbook.find("tls_handshake_fail")).toEqual([
          {
            level: "warn",
            time: expect.any(String),
            role: "server",
            event: "tls_handshake_fail",
            reason,
            remote: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
            detail: expect.stringMatching(detail),
          },
        ]);
        // It never became a client: no counters, no session, no handshake, and not a byte to WireGuard.
        expect([...at.server.role.status().clients.keys()]).toEqual(["bystander"]);
        expect(new Set(at.server.handshakes)).toEqual(new Set(["bystander"]));
        await expectIntact(at);
        expect(at.wg.received).toHaveLength(at.server.counters("bystander").up.outPackets);
      });
    }
  }

  test.each(["TLSv1.3", "TLSv1.2"] as const)("and tells why, whom the CA vouches for (%s)", async (maxVersion) => {
    await using at = await scene({ tls: { deny_cn: ["banned"] } });
    using lane = await rawLane({ port: at.server.port, identity: await identity({ cn: "banned" }), maxVersion });
    await lane.closed();
    expect(lane.controls).toEqual([{ type: "err", kind: "denied_cn", message: "CN banned is in tls.deny_cn" }]);
    await expectIntact(at);
  });

  test("but not TLS 1.2 as such", async () => {
    await using at = await scene();
    using lane = await rawLane({ port: at.server.port, identity: good, maxVersion: "TLSv1.2" });
    expect(lane.socket.getProtocol()).toBe("TLSv1.2");
    lane.hello();
    lane.send(dataPdu(marked(7), 0));
    await until("the echo", () => lane.datagrams.length === 1);
    expect(lane.datagrams).toEqual([marked(7)]);
    await expectIntact(at);
  });

  test("and prefers TLS 1.3", async () => {
    await using at = await scene();
    using lane = await rawLane({ port: at.server.port, identity: good });
    expect(lane.socket.getProtocol()).toBe("TLSv1.3");
    await expectIntact(at);
  });
});

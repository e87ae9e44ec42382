import { afterAll, describe, expect, test } from "bun:test";
import { createServer as createTcpServer, type Server } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { NodeIdentity } from "../../src/app/role.ts";
import { expired, identity, notYetValid, serverIdentity, strangersCa } from "./support/identities.ts";
import { testClient, testServer } from "./support/nodes.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked, udpEnd } from "./support/udp-end.ts";
import { until } from "./support/until.ts";

/** What a client says of servers that it refuses, and of those that refuse it. */

const good = await identity({ cn: "good" });

afterAll(() => expectNoSecretsInLogs(good, serverIdentity));

describe("a client that was refused knows the likely cause", () => {
  test("although TLS 1.3 told it that the handshake was good", async () => {
    using wg = await udpEnd();
    await using server = await testServer(wg.port, { tls: { deny_cn: ["good"] } });
    await using client = await testClient(server.port, good, { tcp: { lanes: 1, prewarm: true } });
    await until("the lane to close", () => client.logbook.has("lane_close"));
    const why = { kind: "denied_cn", detail: "CN good is in tls.deny_cn", lane_id: 0 };
    expect(client.logbook.find("peer_err")).toMatchObject([why]);
    expect(client.logbook.find("lane_close")).toMatchObject([
      {
        lane_id: 0,
        hint: expect.stringContaining("it probably refused this certificate (wrong CA, expired, denied CN)"),
      },
    ]);
    expect(client.role.status()).toMatchObject({ ready: false, notReadyReason: expect.any(String) });
  });

  test("and counts what the refused lanes had taken", async () => {
    using wg = await udpEnd();
    await using server = await testServer(wg.port, { tls: { deny_cn: ["good"] } });
    await using client = await testClient(server.port, good, { tcp: { lanes: 2 } });
    using end = await udpEnd();
    for (let i = 0; i < 20; i++) end.sendTo(client.port, marked(i));
    await until("both lanes to be refused", () => client.logbook.find("lane_close").length === 2);
    const { up } = client.counters("good");
    expect(up.inPackets).toBe(20);
    expect(up.drops.lane_lost + (client.session("good")?.queue.packets ?? 0)).toBe(20);
    expect(wg.received).toEqual([]);
  });
});

/** What stands where the server should, and how often somebody's datagrams reached it. */
interface Impostor extends Disposable {
  readonly port: number;
  readonly bytes: number;
}

async function listening(server: Server, bytes: () => number): Promise<Impostor> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    get bytes() {
      return bytes();
    },
    [Symbol.dispose]: () => void server.close(),
  };
}

async function impostor(who: NodeIdentity): Promise<Impostor> {
  let bytes = 0;
  const server = createTlsServer({ cert: who.cert, key: who.key, ca: who.ca, requestCert: true }, (socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      bytes += chunk.length;
    });
  });
  return listening(server, () => bytes);
}

interface ImpostorCase {
  readonly name: string;
  readonly identity: NodeIdentity;
  /** `tls.server_name`, if it is set. */
  readonly serverName?: string;
  readonly code: string;
  /** What the log tells the client's owner to do. */
  readonly says: string;
}

const IMPOSTORS: readonly ImpostorCase[] = [
  {
    name: "whose certificate is a client's",
    identity: await identity({ cn: "server", usages: ["clientAuth"], hosts: ["127.0.0.1"] }),
    code: "INVALID_PURPOSE",
    says: "that certificate is a client's; issue the server's with --host",
  },
  {
    name: "whose certificate names another host",
    identity: await identity({ cn: "server", hosts: ["elsewhere.example"] }),
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
    says: "issue the server's certificate with --host 127.0.0.1, or set tls.server_name to a name it carries",
  },
  {
    name: "that is not tls.server_name",
    identity: serverIdentity,
    serverName: "other.example",
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
    says: "issue the server's certificate with --host other.example, or set tls.server_name to a name it carries",
  },
  {
    name: "of another CA",
    identity: await identity({ cn: "server", hosts: ["127.0.0.1"], issuer: strangersCa, trusts: strangersCa }),
    code: "SELF_SIGNED_CERT_IN_CHAIN",
    says: "check that both ends use certificates of the same CA",
  },
  {
    name: "whose certificate has expired",
    identity: await identity({ cn: "server", hosts: ["127.0.0.1"], ...expired }),
    code: "CERT_HAS_EXPIRED",
    says: "renew the server's certificate, or set this machine's clock",
  },
  {
    name: "whose certificate is not valid yet",
    identity: await identity({ cn: "server", hosts: ["127.0.0.1"], ...notYetValid }),
    code: "CERT_NOT_YET_VALID",
    says: "set this machine's clock",
  },
];

describe("a client refuses a server", () => {
  for (const { name, identity: who, serverName, code, says } of IMPOSTORS) {
    test(name, async () => {
      using server = await impostor(who);
      using end = await udpEnd();
      await using client = await testClient(server.port, good, {
        tcp: { lanes: 1 },
        ...(serverName === undefined ? {} : { tls: { server_name: serverName } }),
      });
      end.sendTo(client.port, marked(1));
      await until("the refusal", () => client.logbook.has("tls_handshake_fail"));
      expect([...client.role.status().tlsHandshakeFailures]).toEqual([[code, 1]]);
      expect(client.logbook.find("tls_handshake_fail")).toMatchObject([
        {
          level: "warn",
          client_cn: "good",
          lane_id: 0,
          reason: code,
          err: expect.stringMatching(
            new RegExp(`^Cannot trust the server at 127\\.0\\.0\\.1:${server.port}: .*; ${says}$`),
          ),
          err_kind: "tls.handshake",
        },
      ]);
      expect(client.role.status()).toMatchObject({ ready: false, notReadyReason: expect.stringContaining(says) });
      expect(client.session("good")?.queue.packets).toBe(1);
      expect(server.bytes).toBe(0);
      expect(client.handshakes).toEqual([]);
    });
  }

  test("that is found by tls.server_name where its address is not in the certificate", async () => {
    using wg = await udpEnd({ echo: true });
    await using server = await testServer(wg.port);
    await using client = await testClient(server.port, good, { tls: { server_name: "ut.test" } });
    using end = await udpEnd();
    end.sendTo(client.port, marked(1));
    await end.count(1);
    expect(client.role.status().ready).toBe(true);
  });

  test("that speaks no TLS", async () => {
    const tcp = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.write("220 mail.example ESMTP\r\n");
    });
    using server = await listening(tcp, () => 0);
    await using client = await testClient(server.port, good, { tcp: { lanes: 1, prewarm: true } });
    await until("the refusal", () => client.logbook.has("tls_handshake_fail"));
    expect(client.logbook.find("tls_handshake_fail")).toMatchObject([
      {
        reason: "EPROTO",
        err: expect.stringMatching(/WRONG_VERSION_NUMBER; check that tcp.server_addr is the server's lane port/),
      },
    ]);
  });

  test("that hangs up at once", async () => {
    const tcp = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.destroy();
    });
    using server = await listening(tcp, () => 0);
    await using client = await testClient(server.port, good, { tcp: { lanes: 1, prewarm: true } });
    await until("the failure", () => client.logbook.has("lane_dial_fail"));
    expect(client.logbook.find("lane_dial_fail")).toMatchObject([
      {
        level: "warn",
        lane_id: 0,
        err: `127.0.0.1:${server.port} closed the connection during the TLS handshake`,
        err_kind: "lane.closed",
      },
    ]);
  });
});

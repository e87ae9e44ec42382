import { afterAll, beforeAll, expect, test } from "bun:test";
import type { LaneTransport } from "../../src/io/lanes/lane-transport.ts";
import { dialTlsLane } from "../../src/io/lanes/tls-dial.ts";
import type { TlsIdentity } from "../../src/io/lanes/tls-lane.ts";
import { type LaneListener, listenTlsLanes } from "../../src/io/lanes/tls-listen.ts";
import { loadCredentials } from "../../src/io/pki/credentials.ts";
import { describeOpenssl } from "./support/openssl.ts";
import { sClient, sServer } from "./support/openssl-tls.ts";
import { PkiCommand } from "./support/pki-command.ts";

/*
 * Mutual TLS with the files that `ut pki` wrote, openssl at one end and a lane of ut at the other:
 *
 *   openssl s_client ──▶ listenTlsLanes          dialTlsLane ──▶ openssl s_server
 */
describeOpenssl("mutual TLS between ut and openssl", () => {
  let pki: PkiCommand;
  let strangers: PkiCommand;

  beforeAll(async () => {
    [pki, strangers] = [await PkiCommand.make(), await PkiCommand.make()];
    await pki.mustRun("init");
    await pki.mustRun("issue --cn server --host vpn.example.com --host 127.0.0.1");
    await pki.mustRun("issue --cn home");
    await strangers.mustRun("init");
    await strangers.mustRun("issue --cn home --host 127.0.0.1");
  }, 30_000);
  afterAll(async () => {
    await pki[Symbol.asyncDispose]();
    await strangers[Symbol.asyncDispose]();
  });

  test.each(["-tls1_3", "-tls1_2"])(
    "openssl s_client %s is let in under its name, and trusts the server",
    async (version) => {
      const { listener, heard } = await listenAs("server");
      using _ = listener;
      const client = await sClient(listener.port, ...as(pki, "home"), "-verify_hostname", "vpn.example.com", version);
      expect([await heard, client]).toEqual(["accepted home", { out: "you are home\n", code: 0 }]);
    },
  );

  test("openssl s_client does not trust a server that lacks the name", async () => {
    const { listener, heard } = await listenAs("server");
    using _ = listener;
    const client = await sClient(listener.port, ...as(pki, "home"), "-verify_hostname", "other.example.com");
    expect([client.out, client.code, (await heard).startsWith("accepted")]).toEqual(["", 1, false]);
  });

  test("openssl s_client does not trust a client that poses as the server", async () => {
    const { listener, heard } = await listenAs("home");
    using _ = listener;
    const client = await sClient(listener.port, ...as(pki, "server"));
    expect([client.out, client.code, (await heard).startsWith("accepted")]).toEqual(["", 1, false]);
  });

  test.each([
    ["without a certificate", () => ["-CAfile", pki.file("ca.pem")], "refused no_certificate"],
    ["of another CA", () => as(strangers, "home"), "refused wrong_ca"],
  ] as const)("openssl s_client %s stays outside", async (_name, flags, verdict) => {
    const { listener, heard } = await listenAs("server");
    using _ = listener;
    const client = await sClient(listener.port, ...flags());
    expect([await heard, client.out]).toEqual([verdict, ""]);
  });

  test("openssl s_server is dialled, and knows the client", async () => {
    await using server = await sServer(...as(pki, "server"));
    expect(await dial(server.port, "vpn.example.com")).toBe("answered emoh ma i");
    expect(await server.peer()).toBe("CN=home");
  });

  test.each([
    ["a certificate for other hosts", () => as(pki, "server"), "other.example.com", "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["a client's certificate", () => as(pki, "home"), "home", "INVALID_PURPOSE"],
    ["a certificate of another CA", () => as(strangers, "home"), "127.0.0.1", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
  ] as const)("openssl s_server with %s is not trusted", async (_name, flags, serverName, code) => {
    await using server = await sServer(...flags());
    expect(await dial(server.port, serverName)).toBe(`tls.handshake ${code}`);
  });

  async function identityOf(cn: string): Promise<TlsIdentity> {
    const files = { ca: pki.file("ca.pem"), cert: pki.file(`${cn}.pem`), key: pki.file(`${cn}.key`) };
    return loadCredentials(files, { needs: ["clientAuth"] });
  }

  /** openssl's flags for a node of one folder, which always trusts the CA of `pki`. */
  function as(folder: PkiCommand, cn: string): string[] {
    return ["-CAfile", pki.file("ca.pem"), "-cert", folder.file(`${cn}.pem`), "-key", folder.file(`${cn}.key`)];
  }

  /** A server's end of lanes that greets who comes in; `heard` is the first verdict on anybody. */
  async function listenAs(cn: string): Promise<{ listener: LaneListener; heard: Promise<string> }> {
    const { promise: heard, resolve } = Promise.withResolvers<string>();
    const listener = listenTlsLanes(
      { host: "127.0.0.1", port: 0, identity: await identityOf(cn), denyCn: [] },
      {
        accept(lane) {
          resolve(`accepted ${lane.peerCn}`);
          const greeting = Buffer.from(`you are ${lane.peerCn}\n`);
          lane.write(greeting, 0, greeting.length);
          lane.end();
          return { data: () => {}, drained: () => {}, closed: () => {} };
        },
        refused: (reason) => resolve(`refused ${reason}`),
      },
    );
    return { listener, heard };
  }

  /** Says a line as "home", and resolves with what comes of it. */
  async function dial(port: number, serverName: string): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    const line = Buffer.from("i am home\n");
    let lane: LaneTransport | undefined;
    dialTlsLane(
      { host: "127.0.0.1", port, serverName, identity: await identityOf("home") },
      {
        opened(transport) {
          lane = transport;
          lane.write(line, 0, line.length);
        },
        data(chunk) {
          resolve(`answered ${Buffer.from(chunk).toString().trim()}`);
          lane?.end();
        },
        drained: () => {},
        closed: (error) => resolve(error === undefined ? "closed" : `${error.kind} ${error.details.code}`),
      },
      new AbortController().signal,
    );
    return promise;
  }
});

import type { UtError } from "../../core/error.ts";
import { errorMessage } from "../../core/error.ts";
import type { Check } from "./check.ts";
import { type Finding, type failed, ok } from "./finding.ts";
import type { TalkedServer } from "./scene.ts";
import { addressOf, isTrusted, troubleOf } from "./talked-server.ts";

/** Whether this node trusts the server, and the server this node. */
export const tlsCheck: Check = {
  name: "tls",
  doing: "proving who is who",
  async run(scene) {
    const servers = await scene.talks;
    const { credentials } = await scene.credentials;
    const trouble = troubleOf(servers, isTrusted);
    return servers.flatMap((server) => judge(server, scene.config.tls.server_name, credentials?.cn ?? "", trouble));
  },
};

function judge(server: TalkedServer, serverName: string | undefined, cn: string, trouble: typeof failed): Finding[] {
  const { talk, named } = server;
  const where = addressOf(server);
  if (isTrusted(talk)) return [ok(`${where} and this node trust each other`)];
  if (talk.stage === "no-tls") return [distrust(where, talk.error, serverName ?? named.host, trouble)];
  if (talk.stage === "denied")
    return [
      trouble(
        "denied",
        `${where} shuts this node out: ${talk.detail}`,
        `in the server's config: take ${cn} out of tls.deny_cn, then restart it`,
      ),
    ];
  // What came before is told by the check of TCP, with what to do about it.
  if (talk.stage !== "hung-up") return [];
  return [
    trouble(
      "not-let-in",
      `${where} is the right server, and hangs up on this node: it does not trust the certificate of ${cn}`,
      'on the server: "tls_handshake_fail" in the log has the reason',
      "wrong_ca: its tls.ca_cert is another one; expired, not_yet_valid: its clock; crowded_out: too many connections",
    ),
  ];
}

/** Node's TLS ends its message with the names that would have been right. */
function altNames(error: UtError): string {
  const [, names] = /the cert's (?:altnames|list): (.+)$/s.exec(errorMessage(error.cause)) ?? [];
  return names === undefined ? "" : `, but for ${names.replaceAll(/(?:DNS|IP Address):/g, "")}`;
}

/** By the codes of Node's and Bun's TLS. */
function distrust(where: string, error: UtError, name: string, trouble: typeof failed): Finding {
  const code = String(error.details.code ?? "");
  const reissue = (cn: string) => `where the CA is: ut pki issue --cn ${cn} --host ${name} --force`;
  switch (code) {
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return trouble(
        "wrong-name",
        `the certificate of ${where} is not for "${name}"${altNames(error)}`,
        "tls: { server_name: NAME }, with a name that it is for",
        reissue("SERVER"),
      );
    case "INVALID_PURPOSE":
      return trouble("wrong-purpose", `the certificate of ${where} is a client's`, reissue("SERVER"));
    case "CERT_HAS_EXPIRED":
      return trouble(
        "server-expired",
        `the certificate of ${where} has expired, or this machine's clock is ahead`,
        "where the CA is: ut pki renew --cn SERVER",
        "date",
      );
    case "CERT_NOT_YET_VALID":
      return trouble(
        "server-not-yet-valid",
        `the certificate of ${where} is not valid yet: this machine's clock is behind, or the issuer's was ahead`,
        "date",
      );
    case "EPROTO":
      return trouble(
        "not-tls",
        `what listens at ${where} speaks no TLS`,
        "tcp.server_addr must name the port of the server's tcp.listen_addr",
      );
    case "timeout":
      return trouble("tls-silent", `no TLS handshake with ${where} within 10 s: something on the way holds TLS up`);
    case "":
      return trouble(
        "tls-closed",
        `${where} closes the connection during the TLS handshake: it is no ut server, or something on the way ends TLS`,
      );
    default:
      return trouble(
        "other-ca",
        `the certificate of ${where} is not of this node's CA (${code})`,
        "copy the ca.pem that signed both certificates to both ends",
      );
  }
}

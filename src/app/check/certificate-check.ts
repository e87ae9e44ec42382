import { certificatesIn } from "../../io/pki/pem.ts";
import { formatTime, formatTimeLeft } from "../../io/pki/pki-validity.ts";
import type { Check } from "./check.ts";
import { failed, ok, warning } from "./finding.ts";

/** Everything that the other end would refuse, and what will stop working soon. */
export const certificateCheck: Check = {
  name: "certificate",
  doing: "reading the certificates",
  async run(scene) {
    const { credentials, problems } = await scene.credentials;
    if (credentials === undefined)
      return problems.map(({ details: { reason, key, path, cause, remedy } }) =>
        failed(String(reason), `${key} ${path}: ${cause}`, String(remedy)),
      );
    const soon = credentials.warnings
      // The key's file has a check of its own.
      .filter(({ reason }) => reason !== "key-is-public")
      .map(({ reason, cause, remedy }) => warning(reason, cause, remedy));
    if (soon.length > 0) return soon;
    const left = formatTimeLeft(credentials, new Date());
    const names = scene.config.roles.includes("server") ? `, may be dialled as ${namesOf(credentials.cert)}` : "";
    return [ok(`${credentials.cn}, until ${formatTime(credentials.notAfter)} (${left})${names}`)];
  },
};

/** `DNS:vpn.example.com, IP Address:203.0.113.7` without the kinds. */
function namesOf(pem: string): string {
  const names = certificatesIn(pem)[0]?.subjectAltName ?? "nothing";
  return names.replaceAll(/(?:DNS|IP Address):/g, "");
}

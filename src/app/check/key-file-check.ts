import { stat } from "node:fs/promises";
import type { Check } from "./check.ts";
import { type Finding, ok, warning } from "./finding.ts";

const OTHERS_READ = 0o004;
const OTHERS_WRITE = 0o022;

/** Who may read and change the private key, and whether the node runs as who is asking. */
export const keyFileCheck: Check = {
  name: "key file",
  doing: "looking at the private key's file",
  async run({ config, configPath }) {
    const path = config.tls.key;
    // A file that is not there is the certificate check's to tell.
    const found = await stat(path).catch(() => undefined);
    if (found === undefined) return [];
    const mode = (found.mode & 0o777).toString(8).padStart(4, "0");
    const findings: Finding[] = [];
    if ((found.mode & OTHERS_READ) !== 0)
      findings.push(
        warning("key-is-public", `every user of this machine can read ${path} (mode ${mode})`, `chmod 600 ${path}`),
      );
    if ((found.mode & OTHERS_WRITE) !== 0)
      findings.push(warning("key-is-writable", `others may change ${path} (mode ${mode})`, `chmod 600 ${path}`));
    if (process.geteuid?.() === 0 && found.uid !== 0)
      findings.push(
        warning(
          "other-user",
          `this check runs as root, and ${path} is of user ${found.uid}: for that one routes, limits and files may differ`,
          `sudo -u '#${found.uid}' ut check -config ${configPath}`,
        ),
      );
    return findings.length > 0 ? findings : [ok(`${path} is for its owner only (mode ${mode})`)];
  },
};

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Lab } from "./lab.ts";
import { type Namespace, runCommand } from "./namespace.ts";

let servers = 0;

/** OpenSSH's server in a namespace, which ends with the lab. Returns the `ssh` that gets in there as root. */
export async function startSsh(lab: Lab, host: Namespace, address: string, port: number): Promise<readonly string[]> {
  servers += 1;
  const folder = await lab.subfolder(`ssh-${servers}`);
  const file = (name: string) => join(folder, name);
  for (const key of ["host", "user"])
    await runCommand(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file(key)]);
  await writeFile(file("known"), `[${address}]:${port} ${await Bun.file(file("host.pub")).text()}`);
  await runCommand(["mkdir", "-p", "/run/sshd"]);
  const settings = {
    ListenAddress: `${address}:${port}`,
    HostKey: file("host"),
    AuthorizedKeysFile: file("user.pub"),
    StrictModes: "no",
    UsePAM: "no",
    PidFile: "none",
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  const job = host.start("sshd", ["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", ...options]);
  await job.line(/Server listening/);
  const who = ["-i", file("user"), "-o", `UserKnownHostsFile=${file("known")}`, "-o", "BatchMode=yes", "-F", "none"];
  return ["ssh", ...who, "-p", String(port), `root@${address}`];
}

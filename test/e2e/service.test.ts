import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeWith } from "./support/describe-with.ts";

/** What `ut service print` prints, judged by those who read such files. What they do then: test/lab/systemd.long.test.ts. */
const MAIN = join(import.meta.dir, "../../src/main.ts");

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ut-service-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function print(file: string, settings: Record<string, unknown>, ...flags: string[]): Promise<string> {
  const tls = { ca_cert: "ca & co.pem", cert: "node.pem", key: "<node>.key" };
  await Bun.write(join(folder, "ut.yaml"), JSON.stringify({ tls, ...settings }));
  const args = ["service", "print", "-config", "ut.yaml", ...flags];
  const { stdout, stderr } = Bun.spawnSync([process.execPath, MAIN, ...args], { cwd: folder });
  expect(stderr.toString()).toBe("");
  await Bun.write(join(folder, file), stdout.toString());
  return join(folder, file);
}

/** Any program that exists: the judges look. */
const SYSTEMD = ["--init", "systemd", "--binary", "/usr/bin/env"];
const CLIENT = { role: "client", tcp: { server_addr: "vpn.example.com:5443" } };
const CONFIGS: [string, Record<string, unknown>, ...string[]][] = [
  ["a server", { role: "server" }],
  ["a server on port 443", { role: "server", tcp: { listen_addr: ":443" } }],
  ["a client of another name", CLIENT, "--name", "ut-home"],
  ["an agent and client that reads its config again", { ...CLIENT, role: undefined, roles: ["client", "agent"] }],
];

describeWith(["systemd-analyze"], "systemd", () => {
  test.each(CONFIGS)("has nothing to say against the unit of %s", async (_, settings, ...flags) => {
    for (const scope of [[], ["--user"]]) {
      const unit = await print("ut.service", settings, ...SYSTEMD, ...flags, ...scope);
      const { stdout, stderr, exitCode } = Bun.spawnSync(["systemd-analyze", "verify", "--man=no", unit]);
      expect([stdout.toString(), stderr.toString(), exitCode]).toEqual(["", "", 0]);
    }
  });

  test("finds little that the service could do to the machine", async () => {
    const unit = await print("ut.service", { role: "server" }, ...SYSTEMD);
    const args = ["security", "--offline=true", "--no-pager", "--json=short", unit];
    const findings = JSON.parse(Bun.spawnSync(["systemd-analyze", ...args]).stdout.toString());
    const left = findings.filter(({ exposure }: { exposure: string | null }) => exposure !== null);
    // It is there to use the network; the engine compiles; /proc has what is known of network and limits.
    expect(left.map(({ json_field }: { json_field: string }) => json_field).sort()).toEqual([
      "DeviceAllow",
      "IPAddressDeny",
      "MemoryDenyWriteExecute",
      "PrivateMounts",
      "PrivateNetwork",
      "PrivateUsers",
      "ProcSubset",
      "RestrictAddressFamilies_AF_INET_INET6",
      "RestrictAddressFamilies_AF_NETLINK",
      "RestrictAddressFamilies_AF_UNIX",
      "RootDirectoryOrRootImage",
    ]);
  });
});

describeWith(["plistutil"], "launchd's property list", () => {
  test("is read by others as what was meant", async () => {
    const plist = await print(
      "ut.plist",
      CLIENT,
      "--init",
      "launchd",
      "--name",
      "ut-home",
      "--binary",
      "/opt/<ut> & co/ut",
    );
    const binary = join(folder, "binary.plist");
    const convert = (...args: string[]) => {
      const { stdout, stderr, exitCode } = Bun.spawnSync(["plistutil", ...args]);
      expect([stderr.toString(), exitCode]).toEqual(["", 0]);
      return stdout.toString();
    };
    convert("-i", plist, "-f", "bin", "-o", binary);
    const log = `<string>${process.env.HOME}/Library/Logs/ut-home.log</string>`;
    expect(convert("-i", binary, "-f", "xml").replace(/^\s+/gm, "")).toEndWith(`<plist version="1.0">
<dict>
<key>Label</key>
<string>local.ut-home</string>
<key>ProgramArguments</key>
<array>
<string>/opt/&lt;ut&gt; &amp; co/ut</string>
<string>-config</string>
<string>${folder}/ut.yaml</string>
</array>
<key>RunAtLoad</key>
<true/>
<key>KeepAlive</key>
<true/>
<key>ThrottleInterval</key>
<integer>10</integer>
<key>ProcessType</key>
<string>Interactive</string>
<key>ExitTimeOut</key>
<integer>10</integer>
<key>SoftResourceLimits</key>
<dict>
<key>NumberOfFiles</key>
<integer>8192</integer>
</dict>
<key>Umask</key>
<integer>63</integer>
<key>StandardOutPath</key>
${log}
<key>StandardErrorPath</key>
${log}
</dict>
</plist>
`);
  });
});

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serviceCommand } from "../../../src/cli/service.ts";
import type { ServiceHost } from "../../../src/cli/service-flags.ts";
import { UtError } from "../../../src/core/error.ts";
import { issueNode, makeCa } from "../../../src/io/pki/pki.ts";
import { fakeTerminal } from "./fake-terminal.ts";

/** A machine with systemd, of a user who is not root; what it is asked to run is written down and succeeds. */
let folder = "";
let home = "";
let ran: string[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ut-service-"));
  const ca = await makeCa();
  const node = await issueNode(ca, { cn: "home" });
  await writeFile(join(folder, "ca.pem"), ca.cert);
  await writeFile(join(folder, "home.pem"), node.cert);
  await writeFile(join(folder, "home.key"), node.key, { mode: 0o600 });
  await writeFile(join(folder, "ut"), "#!/bin/sh\n", { mode: 0o755 });
  await config("ut.yaml");
});
afterAll(() => rm(folder, { recursive: true }));
beforeEach(async () => {
  ran = [];
  home = await mkdtemp(join(folder, "home-"));
});

async function config(name: string, more = ""): Promise<string> {
  const text = `role: client
tcp: { server_addr: "vpn.example.com:5443" }
tls: { ca_cert: ca.pem, cert: home.pem, key: home.key }
${more}`;
  await writeFile(join(folder, name), text);
  return join(folder, name);
}

/** What it prints and complains about, and with which kind and text it refuses. */
async function ut(argv: string, some: Partial<ServiceHost> = {}): Promise<string> {
  const host: ServiceHost = {
    platform: "linux",
    uid: 1000,
    home,
    binary: join(folder, "ut"),
    hasSystemd: true,
    async run(command) {
      ran.push(command.join(" "));
      return { code: 0, output: "" };
    },
    ...some,
  };
  const terminal = fakeTerminal();
  const words = argv.replaceAll("FILE", join(folder, "ut.yaml")).split(" ");
  try {
    expect(await serviceCommand(host).run(words, terminal)).toBe(0);
  } catch (error) {
    if (!(error instanceof UtError)) throw error;
    terminal.err(`${error.kind}: ${error.message}`);
  }
  return [...terminal.printed, ...terminal.complained].join("\n").replaceAll(home, "HOME").replaceAll(folder, "DIR");
}

const unitPath = () => join(home, ".config/systemd/user/ut.service");

describe("install", () => {
  test("writes the one file, tells each step, and has it started", async () => {
    expect(await ut("install --user -config FILE")).toBe(`writing HOME/.config/systemd/user/ut.service
systemctl --user daemon-reload
systemctl --user enable ut
systemctl --user restart ut
its log: journalctl --user -u ut -f -o cat
"loginctl enable-linger" lets it run while you are not logged in`);
    expect(ran).toEqual([
      "systemctl --user daemon-reload",
      "systemctl --user enable ut",
      "systemctl --user restart ut",
    ]);
    const text = await Bun.file(unitPath()).text();
    expect(text.trimEnd()).toBe((await ut("print --user -config FILE")).replaceAll("DIR", folder));
    expect(await readdir(join(home, ".config/systemd/user"))).toEqual(["ut.service"]);
  });

  test("once more replaces it", async () => {
    await ut("install --user -config FILE");
    await config("other.yaml");
    await ut(`install --user -config ${join(folder, "other.yaml")}`);
    expect(await Bun.file(unitPath()).text()).toContain(`-config ${join(folder, "other.yaml")}\n`);
  });

  test("with --dry-run only tells", async () => {
    const text = await ut("install --user --dry-run -config FILE");
    expect(text).toStartWith("would write HOME/.config/systemd/user/ut.service:\n\n# Written by ut service install.");
    expect(text.split("\n").filter((line) => line.startsWith("would run"))).toEqual([
      "would run systemctl --user daemon-reload",
      "would run systemctl --user enable ut",
      "would run systemctl --user restart ut",
    ]);
    expect(ran).toEqual([]);
    expect(existsSync(join(home, ".config"))).toBe(false);
  });

  test("leaves a file alone that somebody else wrote", async () => {
    await mkdir(join(home, ".config/systemd/user"), { recursive: true });
    await writeFile(unitPath(), "[Service]\nExecStart=/bin/true\n");
    const refusal = `io.file: Cannot VERB HOME/.config/systemd/user/ut.service: it was not written by ut service install
Next: remove it yourself, or choose another --name`;
    expect(await ut("install --user -config FILE")).toBe(refusal.replace("VERB", "replace"));
    expect(await ut("uninstall --user")).toBe(refusal.replace("VERB", "remove"));
    expect(await Bun.file(unitPath()).text()).toBe("[Service]\nExecStart=/bin/true\n");
    expect(ran).toEqual([]);
  });

  test("never in the place of a service of the system, nor as root", async () => {
    const folder = "/usr/lib/systemd/user";
    const unit = existsSync(folder)
      ? (await readdir(folder)).find((one) => /^[a-z][a-z-]*\.service$/.test(one))
      : undefined;
    if (unit !== undefined)
      expect(await ut(`install --user -config FILE --name ${unit.replace(".service", "")}`)).toBe(
        `io.file: Cannot write HOME/.config/systemd/user/${unit}: it would replace ${folder}/${unit}\nNext: choose another --name`,
      );
    expect(await ut("install -config FILE --name root")).toBe(
      "usage.bad-value: Cannot use --name root: the service would run as the user of that name",
    );
    expect(ran).toEqual([]);
  });

  test("says what the init system says when it fails, and what is in place", async () => {
    const text = await ut("install --user -config FILE", {
      run: async ([, ...words]) =>
        words.includes("restart") ? { code: 1, output: "Job failed. See journalctl.\n" } : { code: 0, output: "" },
    });
    expect(text).toEndWith(`service.failed: Cannot start the service: "systemctl --user restart ut" ended with 1
Job failed. See journalctl.
HOME/.config/systemd/user/ut.service is in place; "ut service uninstall" with the same flags removes it`);
  });

  test("says so where the program of the init system is missing", async () => {
    const text = await ut("install --user -config FILE", {
      run: () => Promise.reject(Object.assign(new Error("spawn"), { code: "ENOENT" })),
    });
    expect(text).toContain(
      "service.failed: Cannot run systemctl --user daemon-reload: ENOENT; HOME/.config/systemd/user/ut.service is in place",
    );
  });

  test("into a folder that cannot be is refused, with nothing run and nothing left", async () => {
    await writeFile(join(home, ".config"), "");
    expect(await ut("install --user -config FILE")).toStartWith(
      "io.file: Cannot write HOME/.config/systemd/user/ut.service: HOME/.config/systemd/user: ",
    );
    expect(ran).toEqual([]);
    expect(await readdir(home)).toEqual([".config"]);
  });

  test("of a config that is wrong, or whose certificates are, is refused as at start", async () => {
    await writeFile(join(folder, "wrong.yaml"), "role: clinet\n");
    expect(await ut(`install --user -config ${join(folder, "wrong.yaml")}`)).toStartWith("config.invalid: ");
    const keyless = await config("keyless.yaml");
    await writeFile(keyless, (await Bun.file(keyless).text()).replace("home.key", "gone.key"));
    expect(await ut(`install --user -config ${keyless}`)).toStartWith("tls.credentials: ");
    expect(ran).toEqual([]);
    expect(existsSync(unitPath())).toBe(false);
  });

  test("of a binary that is not there, or that a service cannot see, is refused", async () => {
    expect(await ut("install --user -config FILE --binary /nowhere/ut")).toBe(
      "io.file: Cannot start /nowhere/ut: it does not exist\nNext: give the ut to start by --binary FILE",
    );
    expect(await ut("install -config FILE", { uid: 0 })).toBe(
      `io.file: Cannot start DIR/ut: a service has a user of its own and sees no home folder
Next: install -m 755 DIR/ut /usr/local/bin/ut and then /usr/local/bin/ut service install …`,
    );
  });

  test("of a binary that systemd would not run is refused", async () => {
    const odd = { binary: "/opt/bob's/ut" };
    expect(await ut("print -config FILE", odd)).toBe(
      `usage.bad-value: Cannot start /opt/bob's/ut: systemd runs no program with a quote or a backslash in its path
Next: install it as /usr/local/bin/ut`,
    );
    expect(await ut("print --init launchd -config FILE", odd)).toContain("<string>/opt/bob's/ut</string>");
  });

  test("of a key that others can read warns", async () => {
    await chmod(join(folder, "home.key"), 0o644);
    const text = await ut("install --user -config FILE");
    await chmod(join(folder, "home.key"), 0o600);
    expect(text).toContain("\nwarning: ");
    expect(ran).toHaveLength(3);
  });
});

describe("uninstall", () => {
  test("takes back what install did, and no more", async () => {
    await ut("install --user -config FILE");
    await writeFile(join(home, ".config/systemd/user/other.service"), "");
    ran = [];
    expect(await ut("uninstall --user")).toBe(`systemctl --user disable --now ut
removing HOME/.config/systemd/user/ut.service
systemctl --user daemon-reload`);
    expect(ran).toEqual(["systemctl --user disable --now ut", "systemctl --user daemon-reload"]);
    expect(await readdir(join(home, ".config/systemd/user"))).toEqual(["other.service"]);
  });

  test("of nothing says so", async () => {
    expect(await ut("uninstall --user")).toBe(
      "io.file: Cannot uninstall ut.service: HOME/.config/systemd/user/ut.service does not exist",
    );
  });

  test("with --dry-run only tells", async () => {
    await ut("install --user -config FILE");
    expect(await ut("uninstall --user --dry-run")).toBe(`would run systemctl --user disable --now ut
would remove HOME/.config/systemd/user/ut.service
would run systemctl --user daemon-reload`);
    expect(existsSync(unitPath())).toBe(true);
  });
});

describe("with launchd", () => {
  const mac: Partial<ServiceHost> = { platform: "darwin", uid: 501, hasSystemd: false };

  test("it is an agent of the user, and coming again replaces it", async () => {
    const written = `writing HOME/Library/LaunchAgents/local.ut.plist
launchctl bootstrap gui/501 HOME/Library/LaunchAgents/local.ut.plist
its log: tail -F HOME/Library/Logs/ut.log`;
    expect(await ut("install -config FILE", mac)).toBe(written);
    expect(await ut("install -config FILE", mac)).toBe(`launchctl bootout gui/501/local.ut\n${written}`);
    expect(await ut("uninstall", mac)).toBe(`launchctl bootout gui/501/local.ut
removing HOME/Library/LaunchAgents/local.ut.plist`);
    expect(await readdir(join(home, "Library/LaunchAgents"))).toEqual([]);
  });

  test("root has no agents", async () => {
    expect(await ut("install -config FILE", { ...mac, uid: 0 })).toBe(
      "usage.bad-value: Cannot install or remove a launchd agent as root\nNext: run it as the user whose agent it is",
    );
  });
});

describe("what cannot be meant", () => {
  test("an init system that nobody knows", async () => {
    expect(await ut("install --init runit -config FILE")).toBe(
      `usage.bad-value: Cannot use --init runit: expected systemd or launchd
Next: let runit run "ut -config FILE"; it stays in the foreground, logs to stdout and drains on SIGTERM`,
    );
    expect(await ut("print --init sytemd -config FILE")).toContain("; did you mean systemd\n");
  });

  test("a machine without any that is known", async () => {
    expect(await ut("install -config FILE", { hasSystemd: false })).toStartWith(
      "usage.bad-flag: Cannot tell what starts programs here: systemd does not run (no /run/systemd/system)\nNext: ",
    );
    expect(await ut("print --init systemd -config FILE", { hasSystemd: false })).toContain("[Service]");
  });

  test("a service of the machine without being root", async () => {
    for (const words of ["install -config FILE", "uninstall"])
      expect(await ut(words)).toBe(
        "usage.bad-value: Cannot install or remove a service of the machine as this user\nNext: run it with sudo, or give --user for a service of your own",
      );
  });

  test.each(["Ut", "../ut", "a b", ""])("the name %j", async (name) => {
    const terminal = fakeTerminal();
    const host = { platform: "linux", uid: 0, home, binary: undefined, hasSystemd: true, run: () => never } as const;
    const run = serviceCommand(host).run(["uninstall", "--name", name], terminal);
    await expect(run).rejects.toThrow(
      `Cannot use --name ${JSON.stringify(name)}: expected up to 31 lower-case letters`,
    );
  });

  test.each([
    ["", "expected install, uninstall, print, got nothing"],
    ["instal", 'expected install, uninstall, print, got "instal"; did you mean "install"'],
    ["toString", 'expected install, uninstall, print, got "toString"'],
  ])("the word %j", async (word, answer) => {
    expect(await ut(word)).toBe(`usage.unknown-command: Cannot run ut service: ${answer}`);
  });

  test("no config, and words that are none of the flags", async () => {
    expect(await ut("print")).toBe("usage.bad-flag: Cannot tell what the service runs: expected -config FILE");
    expect(await ut("uninstall now")).toBe(
      'usage.bad-value: Cannot run ut service uninstall: expected only flags, got "now"',
    );
  });
});

const never = new Promise<never>(() => {});

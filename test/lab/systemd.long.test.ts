import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { udpEnd } from "../e2e/support/udp-end.ts";
import { describeLab } from "./describe-lab.ts";
import { openInside } from "./inside.ts";
import { Lab } from "./lab.ts";
import { runCommand } from "./namespace.ts";
import { SystemdMachine } from "./systemd-machine.ts";
import { utBinary } from "./ut-binary.ts";

/**
 * `ut service` on a machine where real systemd is process 1. A server and a client are installed beside each other, so
 * that what the sandbox takes away would be missed.
 */
describeLab("ut service on a machine with systemd", () => {
  let lab: Lab;
  let machine: SystemdMachine;
  const WIREGUARD_PORT = 51_820;

  beforeAll(async () => {
    lab = await Lab.open();
    const ut = await utBinary();
    const pki = await lab.subfolder("pki");
    await runCommand([ut, "pki", "init", "--dir", pki]);
    await runCommand([ut, "pki", "issue", "--dir", pki, "--cn", "server", "--host", "127.0.0.1"]);
    await runCommand([ut, "pki", "issue", "--dir", pki, "--cn", "home"]);
    const tls = (cn: string) => `tls: { ca_cert: ca.pem, cert: ${cn}.pem, key: ${cn}.key }\n`;
    // Port 443, and STUN below 1024: only privileged programs may.
    const server = `role: server\ntcp: { listen_addr: "127.0.0.1:443" }\nserver: { stun: { listen: [] } }\n${tls("server")}`;
    const client = `role: client
tcp: { server_addr: "127.0.0.1:443" }
metrics: { listen_addr: "127.0.0.1:5081" }
nat: { watch: true, stun_servers: [] }
p2p: { port_mapping: false }
${tls("home")}`;
    await Bun.write(join(pki, "server.yaml"), server);
    await Bun.write(join(pki, "home.yaml"), client);
    // One config that only root can read, and one that everybody can.
    await chmod(join(pki, "server.yaml"), 0o600);
    await chmod(join(pki, "home.yaml"), 0o644);
    const names = ["ca.pem", "server.pem", "server.key", "home.pem", "home.key", "server.yaml", "home.yaml"];
    machine = await SystemdMachine.boot(lab, "box", {
      "/usr/local/bin/ut": ut,
      ...Object.fromEntries(names.map((name) => [`/etc/ut/${name}`, join(pki, name)])),
    });
  }, 60_000);
  afterAll(async () => {
    await machine?.[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
  });

  test("install: both are up when it returns, without root's rights and with what they may do cut down", async () => {
    for (const name of ["server", "home"]) {
      const said = await machine.run(`ut service install --name ut-${name} -config /etc/ut/${name}.yaml`);
      expect(said).toBe(`writing /etc/systemd/system/ut-${name}.service
systemctl daemon-reload
systemctl enable ut-${name}
systemctl restart ut-${name}
its log: journalctl -u ut-${name} -f -o cat
`);
      const state = await machine.show(`ut-${name}`, "ActiveState", "SubState", "Result", "NRestarts", "UnitFileState");
      expect(state).toEqual({
        ActiveState: "active",
        SubState: "running",
        Result: "success",
        NRestarts: "0",
        UnitFileState: "enabled",
      });
    }
    expect(await machine.show("ut-server", "StatusText")).toEqual({ StatusText: "server on 127.0.0.1:443" });
    const { MainPID: server } = await machine.show("ut-server", "MainPID");
    const { MainPID: home } = await machine.show("ut-home", "MainPID");
    const rights = (pid: string | undefined) =>
      machine.run(`grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/${pid}/status | tr -d '\\n\\t '`);
    const NET_BIND_SERVICE = "0000000000000400";
    const NONE = "0000000000000000";
    const expected = (capability: string) =>
      new RegExp(`^Uid:(6[1-5]\\d{3})\\1\\1\\1CapEff:${capability}CapBnd:${capability}NoNewPrivs:1Seccomp:2$`);
    expect(await rights(server)).toMatch(expected(NET_BIND_SERVICE));
    expect(await rights(home)).toMatch(expected(NONE));
    const warnings = (await machine.log("ut-home")).split("\n").filter((line) => line.includes('"level":"warn"'));
    expect(warnings).toEqual([]);
  }, 30_000);

  test("they carry datagrams", async () => {
    using wireguard = await openInside(machine.namespace, () => udpEnd({ echo: true, port: WIREGUARD_PORT }));
    using local = await openInside(machine.namespace, () => udpEnd());
    for (let index = 0; index < 100; index += 1) local.sendTo(15_000, new Uint8Array([index]));
    await local.count(100);
    expect(wireguard.received).toHaveLength(100);
    expect(JSON.parse(await machine.run("curl -sS http://127.0.0.1:5081/readyz"))).toMatchObject({ ready: true });
  }, 30_000);

  test("reload reads the config again, in the same process", async () => {
    const before = await machine.show("ut-home", "MainPID", "ExecMainStartTimestampMonotonic");
    await machine.run("sed -i 's/watch: true/watch: true, reflex_override: \"203.0.113.7:4000\"/' /etc/ut/home.yaml");
    await machine.run("systemctl reload ut-home");
    expect(await machine.show("ut-home", "MainPID", "ExecMainStartTimestampMonotonic")).toEqual(before);
    expect(await machine.show("ut-home", "ActiveState", "StatusText")).toMatchObject({ ActiveState: "active" });
    await machine.run(
      `until curl -sS http://127.0.0.1:5081/api/status | grep -q 203.0.113.7:4000; do sleep 0.05; done`,
    );
    // What has nothing to read again would end of the signal, so there is no way to send it.
    await expect(machine.run("systemctl reload ut-server")).rejects.toThrow("Job type reload is not applicable");
  }, 30_000);

  test("one that hangs is ended by the watchdog and started again, and so is one that is killed", async () => {
    await machine.run(`mkdir -p /run/systemd/system/ut-home.service.d
printf '[Service]\\nWatchdogSec=2s\\nRestartSec=100ms\\n' > /run/systemd/system/ut-home.service.d/quick.conf
systemctl daemon-reload
systemctl restart ut-home`);
    const { MainPID: first } = await machine.show("ut-home", "MainPID");
    // Alive for longer than the watchdog would wait.
    await machine.run("sleep 5");
    expect(await machine.show("ut-home", "MainPID", "NRestarts")).toEqual({ MainPID: first ?? "", NRestarts: "0" });
    const again = (count: number) =>
      `until [ "$(systemctl show -P NRestarts ut-home)" = ${count} ] && systemctl -q is-active ut-home; do sleep 0.05; done`;
    await machine.run(`kill -STOP ${first}\n${again(1)}`);
    expect(await machine.log("ut-home")).toContain("Watchdog timeout");
    const { MainPID: second } = await machine.show("ut-home", "MainPID");
    await machine.run(`kill -KILL ${second}\n${again(2)}`);
    await machine.run("rm -r /run/systemd/system/ut-home.service.d; systemctl daemon-reload");
  }, 60_000);

  test("a config that is wrong fails once, with its mistake in the log, and is not tried again", async () => {
    await machine.run("cp /etc/ut/home.yaml /etc/ut/good.yaml; sed -i s/role/rolle/ /etc/ut/home.yaml");
    await expect(machine.run("ut service install --name ut-home -config /etc/ut/home.yaml")).rejects.toThrow(
      "/etc/ut/home.yaml:1:1",
    );
    await expect(machine.run("systemctl restart ut-home")).rejects.toThrow("Job for ut-home.service failed");
    await machine.run("until systemctl -q is-failed ut-home; do sleep 0.05; done");
    expect(await machine.log("ut-home")).toContain("/etc/ut/home.yaml:1:1");
    await machine.run(
      "mv /etc/ut/good.yaml /etc/ut/home.yaml; ut service install --name ut-home -config /etc/ut/home.yaml",
    );
    expect(await machine.show("ut-home", "ActiveState")).toEqual({ ActiveState: "active" });
  }, 30_000);

  test("an existing user of its name is the one it runs as", async () => {
    await machine.run("echo 'ut-home:x:987:987::/:/bin/false' >> /etc/passwd; echo 'ut-home:x:987:' >> /etc/group");
    await machine.run("systemctl restart ut-home");
    expect(await machine.run("stat -c %u /proc/$(systemctl show -P MainPID ut-home)")).toBe("987\n");
  }, 30_000);

  test("where /etc is read-only it says so, and changes nothing", async () => {
    await machine.run(
      "mount --bind /etc/systemd/system /etc/systemd/system; mount -o remount,bind,ro /etc/systemd/system",
    );
    for (const command of ["install -config /etc/ut/home.yaml", "uninstall"])
      await expect(machine.run(`ut service ${command} --name ut-home`)).rejects.toThrow(
        "Cannot write /etc/systemd/system/ut-home.service: /etc/systemd/system is on a read-only file system",
      );
    expect(await machine.show("ut-home", "ActiveState")).toEqual({ ActiveState: "active" });
    await machine.run("umount /etc/systemd/system");
  }, 30_000);

  test("another user gets no service of the machine, nor one into a folder that is not hers", async () => {
    const as = "setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/etc";
    await expect(machine.run(`${as} ut service uninstall --name ut-home`)).rejects.toThrow(
      "run it with sudo, or give --user",
    );
    await expect(machine.run(`${as} ut service uninstall --user --name ut-home`)).rejects.toThrow("does not exist");
    await machine.run(
      "install -o 65534 -m 600 /etc/ut/home.key /etc/ut/theirs.key; sed s/home.key/theirs.key/ /etc/ut/home.yaml > /etc/ut/theirs.yaml",
    );
    await expect(machine.run(`${as} ut service install --user -config /etc/ut/theirs.yaml`)).rejects.toThrow(
      "Cannot write /etc/.config/systemd/user/ut.service: /etc/.config/systemd/user is not writable for this user",
    );
  }, 30_000);

  test("--user: the user's own systemd starts it, with what sandbox she may set up", async () => {
    await machine.run(`echo 'eva:x:1000:1000::/home/eva:/bin/sh' >> /etc/passwd; echo 'eva:x:1000:' >> /etc/group
install -d -o 1000 -g 1000 /home/eva /run/user/1000
install -o 1000 -g 1000 -m 600 -t /home/eva /etc/ut/ca.pem /etc/ut/home.pem /etc/ut/home.key
sed s/5081/5082/ /etc/ut/home.yaml | grep -v -e nat: -e p2p: > /home/eva/ut.yaml
echo 'udp: { listen_addr: "127.0.0.1:15001" }' >> /home/eva/ut.yaml
systemd-run -q --unit=eva -p User=eva -p Delegate=yes -p Type=notify -E XDG_RUNTIME_DIR=/run/user/1000 -E HOME=/home/eva /lib/systemd/systemd --user`);
    const eva = "setpriv --reuid 1000 --regid 1000 --clear-groups env HOME=/home/eva XDG_RUNTIME_DIR=/run/user/1000";
    const said = await machine.run(`${eva} ut service install --user -config /home/eva/ut.yaml`);
    expect(said).toStartWith("writing /home/eva/.config/systemd/user/ut.service\n");
    const state = await machine.run(`${eva} systemctl --user show -p ActiveState -p StatusText -p NRestarts ut`);
    expect(state.trim().split("\n").sort()).toEqual([
      "ActiveState=active",
      "NRestarts=0",
      "StatusText=client on 127.0.0.1:15001",
    ]);
    const pid = `$(${eva} systemctl --user show -P MainPID ut)`;
    const rights = await machine.run(`grep -E '^(Uid|NoNewPrivs|Seccomp):' /proc/${pid}/status | tr -d '\\n\\t '`);
    expect(rights).toBe("Uid:1000100010001000NoNewPrivs:1Seccomp:2");
    await machine.run(`${eva} ut service uninstall --user; test ! -e /home/eva/.config/systemd/user/ut.service`);
    await machine.run("systemctl stop eva");
  }, 30_000);

  test("uninstall: both end in order, and nothing of them is left in /etc", async () => {
    for (const name of ["home", "server"]) {
      expect(await machine.run(`ut service uninstall --name ut-${name}`)).toBe(`systemctl disable --now ut-${name}
removing /etc/systemd/system/ut-${name}.service
systemctl daemon-reload
`);
      expect(await machine.log(`ut-${name}`)).toMatch(/"event":"stopped","drained":true/);
      expect(await machine.show(`ut-${name}`, "LoadState", "ActiveState")).toEqual({
        LoadState: "not-found",
        ActiveState: "inactive",
      });
    }
    expect(await machine.run("find /etc/systemd/system -name '*ut-*'; find /run/credentials -name 'ut-*'")).toBe("");
  }, 30_000);
});

import { describe, expect, test } from "bun:test";
import type { ServiceSpec } from "../../../../src/app/service/plan.ts";
import { systemdPlan, systemdUnit } from "../../../../src/app/service/systemd.ts";
import { parseConfig } from "../../../../src/config/load.ts";

const TLS = "tls: { ca_cert: /etc/ut/ca.pem, cert: /etc/ut/node.pem, key: /etc/ut/node.key }\n";

function spec(text = "role: server\n", some: Partial<ServiceSpec> = {}): ServiceSpec {
  return {
    name: "ut",
    binary: "/usr/local/bin/ut",
    configPath: "/etc/ut/ut.yaml",
    config: parseConfig(text + TLS, "/etc/ut/ut.yaml"),
    isConfigOpen: true,
    ...some,
  };
}

/** The values of one key, in their order. */
function values(unit: string, key: string): string[] {
  return [...unit.matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map(([, value]) => value ?? "");
}

describe("a service of the machine", () => {
  test("starts ut with certificates and key that root hands over, as a user of its own", () => {
    const unit = systemdUnit(spec(), "system");
    expect(values(unit, "ExecStart")).toEqual(["/usr/local/bin/ut -config /etc/ut/ut.yaml --credentials %d"]);
    expect(values(unit, "LoadCredential")).toEqual([
      "tls.ca_cert:/etc/ut/ca.pem",
      "tls.cert:/etc/ut/node.pem",
      "tls.key:/etc/ut/node.key",
    ]);
    expect([values(unit, "User"), values(unit, "DynamicUser")]).toEqual([["ut"], ["yes"]]);
    expect(values(unit, "WantedBy")).toEqual(["multi-user.target"]);
    expect([values(unit, "Type"), values(unit, "WatchdogSec")]).toEqual([["notify"], ["30"]]);
  });

  test("is handed its config, too, where its user could not read it", () => {
    const unit = systemdUnit(spec("role: server\n", { isConfigOpen: false }), "system");
    expect(values(unit, "ExecStart")).toEqual(["/usr/local/bin/ut -config %d/ut.yaml --credentials %d"]);
    expect(values(unit, "LoadCredential")[0]).toBe("ut.yaml:/etc/ut/ut.yaml");
  });

  test("has no capability, but for the one that a port below 1024 takes", () => {
    const capabilities = (text: string) => {
      const unit = systemdUnit(spec(text), "system");
      return [...values(unit, "CapabilityBoundingSet"), ...values(unit, "AmbientCapabilities")];
    };
    expect(capabilities("role: server\n")).toEqual([""]);
    const low = ["CAP_NET_BIND_SERVICE", "CAP_NET_BIND_SERVICE"];
    expect(capabilities("role: server\ntcp: { listen_addr: ':443' }\n")).toEqual(low);
    expect(capabilities("role: server\nserver: { stun: { listen: [':500'] } }\n")).toEqual(low);
    expect(capabilities("role: server\nmetrics: { listen_addr: '127.0.0.1:80' }\n")).toEqual(low);
    const client = "role: client\ntcp: { server_addr: 'a.example:443', listen_addr: ':443' }\n";
    expect(capabilities(client)).toEqual([""]);
    expect(capabilities(`${client}udp: { listen_addr: '127.0.0.1:53' }\n`)).toEqual(low);
    expect(capabilities(`${client}p2p: { listen_addr: ':500' }\n`)).toEqual([""]);
    expect(capabilities(`${client}p2p: { listen_addr: ':500' }\nnat: { watch: true }\n`)).toEqual(low);
  });

  test("can be reloaded where there is something to read again, and the file can be seen", () => {
    const agent = "role: agent\ntcp: { server_addr: 'a.example:5443' }\n";
    const reload = (text: string, isConfigOpen: boolean) =>
      values(systemdUnit(spec(text, { isConfigOpen }), "system"), "ExecReload");
    expect(reload(agent, true)).toEqual(["/bin/kill -HUP $MAINPID"]);
    expect(reload(agent, false)).toEqual([]);
    expect(reload("role: server\n", true)).toEqual([]);
    expect(reload("role: server\nnat: { watch: true }\n", true)).toEqual(["/bin/kill -HUP $MAINPID"]);
  });

  test("takes paths for what they are", () => {
    const odd = { binary: "/opt/u t/$9/5%/ut", configPath: '/etc/50%/$HOME/"ut".yaml', isConfigOpen: true };
    expect(values(systemdUnit(spec("role: server\n", odd), "system"), "ExecStart")).toEqual([
      '"/opt/u t/$9/5%%/ut" -config "/etc/50%%/$$HOME/\\"ut\\".yaml" --credentials %d',
    ]);
    const hidden = systemdUnit(spec("role: server\n", { ...odd, isConfigOpen: false }), "system");
    expect(values(hidden, "LoadCredential")[0]).toBe('ut.yaml:/etc/50%%/$HOME/"ut".yaml');
  });

  test("named otherwise has a user and a state folder of that name", () => {
    const unit = systemdUnit(spec("role: server\n", { name: "ut-office" }), "system");
    expect([values(unit, "User"), values(unit, "StateDirectory")]).toEqual([["ut-office"], ["ut-office"]]);
    expect(systemdPlan("ut-office", { scope: "system", uid: 0, home: "/root" }).path).toBe(
      "/etc/systemd/system/ut-office.service",
    );
  });
});

test("a service of a user reads its files itself, and has what sandbox needs no privileges", () => {
  const unit = systemdUnit(spec("role: server\n", { isConfigOpen: false }), "user");
  expect(values(unit, "ExecStart")).toEqual(["/usr/local/bin/ut -config /etc/ut/ut.yaml"]);
  for (const key of ["User", "DynamicUser", "LoadCredential", "ProtectSystem", "After"])
    expect(values(unit, key)).toEqual([]);
  expect(values(unit, "NoNewPrivileges")).toEqual(["yes"]);
  expect(values(unit, "WantedBy")).toEqual(["default.target"]);
});

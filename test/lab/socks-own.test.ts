import { expect, test } from "bun:test";
import { ownAddressBook } from "../../src/app/socks/own-address-book.ts";
import { ExitPolicy } from "../../src/core/socks/exit-policy.ts";
import { parseExitRule } from "../../src/core/socks/exit-rule.ts";
import { describeLab } from "./describe-lab.ts";
import { inside } from "./inside.ts";
import { Lab } from "./lab.ts";

/** Public to everybody, and to nobody's harm inside a namespace. */
const HOST = { host4: "11.0.0.2", host6: "2600:0:0:1::5" };

describeLab("the exit of ut socks", () => {
  test("knows for its host's own what only a route makes so", async () => {
    await using lab = await Lab.open();
    const [host, other] = [
      await lab.namespace("host", { "net.ipv6.conf.all.forwarding": 1 }),
      await lab.namespace("other"),
    ];
    await lab.cable(
      { host, device: "wan", address: `${HOST.host4}/24` },
      { host: other, device: "lan", address: "11.0.0.1/24" },
    );
    await host.ip([
      `addr add ${HOST.host6}/64 dev wan`,
      "route add default via 11.0.0.1",
      "route add local 12.0.0.0/24 dev lo",
      `route add local 13.0.0.0/24 dev lo src ${HOST.host4}`,
      "route add local default dev lo table 100",
      "route add local 2600:0:0:f::/64 dev lo",
      "route add local ::/0 dev lo table 100",
    ]);
    const refusals = (rules: readonly string[], addresses: readonly string[]) =>
      inside(host, () => {
        const policy = new ExitPolicy({
          rules: rules.flatMap((text) => parseExitRule(text) ?? []),
          isOwn: ownAddressBook(() => undefined),
        });
        return addresses.map((address) => policy.refusal(address, 80) ?? "let in");
      });
    const own = [HOST.host4, "12.0.0.7", "13.0.0.7", HOST.host6, "2600:0:0:f::7", "2600:0:0:1::", "64:ff9b::12.0.0.7"];
    expect(refusals([], own)).toEqual(own.map(() => "own"));
    const others = ["11.0.0.1", "8.8.8.8", "2600:0:0:1::1", "2606:4700::1111"];
    expect(refusals([], others)).toEqual(others.map(() => "let in"));
    expect(refusals(["public", "12.0.0.0/24"], ["12.0.0.7", "13.0.0.7"])).toEqual(["let in", "own"]);
  });
});

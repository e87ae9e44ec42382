import { describe, expect, test } from "bun:test";
import { type TellableAddress, withoutTrackable } from "../../../../src/core/ice/private-addresses.ts";

const own = (address: string, some: Partial<TellableAddress> = {}): TellableAddress => ({
  address,
  interfaceName: "eth0",
  prefixLength: 64,
  isTemporary: false,
  ...some,
});
const told = (...addresses: TellableAddress[]) => withoutTrackable(addresses).map(({ address }) => address);

const EUI = "2001:db8:1:2:21e:c2ff:fe0b:1234";
const OPAQUE = "2001:db8:1:2:9d3f:7a11:8c5e:2b60";
const TEMPORARY = "2001:db8:1:2:5541:aaaa:bbbb:cccc";

describe("addresses that a peer is told (RFC 8445 §5.1.1.1)", () => {
  test("a temporary one hides the permanent ones of its network", () => {
    expect(told(own(EUI), own(OPAQUE), own(TEMPORARY, { isTemporary: true }))).toEqual([TEMPORARY]);
    const two = [own(TEMPORARY, { isTemporary: true }), own("2001:db8:1:2::77", { isTemporary: true })];
    expect(told(own(OPAQUE), ...two)).toEqual([TEMPORARY, "2001:db8:1:2::77"]);
  });

  test("one made of the hardware address is not told beside any other one", () => {
    expect(told(own(EUI), own(OPAQUE))).toEqual([OPAQUE]);
    expect(told(own(EUI))).toEqual([EUI]);
  });

  test("other networks, interfaces and families hide nothing", () => {
    const temporary = own(TEMPORARY, { isTemporary: true });
    const others = [
      own("2001:db8:1:3::5"),
      own("2001:db8:1:2::5", { interfaceName: "wlan0" }),
      own("2001:db8:1:2::6", { prefixLength: 128 }),
      own("10.0.0.5", { prefixLength: 24 }),
    ];
    expect(told(temporary, ...others)).toEqual([TEMPORARY, ...others.map(({ address }) => address)]);
  });

  test("a prefix ends at any bit", () => {
    const temporary = own("2001:db8:0:100::1", { prefixLength: 60, isTemporary: true });
    expect(told(temporary, own("2001:db8:0:10f::2", { prefixLength: 60 }))).toEqual(["2001:db8:0:100::1"]);
    expect(told(temporary, own("2001:db8:0:110::2", { prefixLength: 60 }))).toHaveLength(2);
    expect(told(own("::1", { prefixLength: 128 }), own("::1", { prefixLength: 128 }))).toHaveLength(2);
  });
});

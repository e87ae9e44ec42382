import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { listGatewayMappings } from "../../src/app/nat/gateway-errands.ts";
import { UpnpClient } from "../../src/core/portmap/upnp.ts";
import { now } from "../../src/io/clock.ts";
import { drive } from "../../src/io/drive.ts";
import { gatewayHttp } from "../../src/io/gateway-http.ts";
import { defaultGateway, watchDefaultGateway } from "../../src/io/system/default-gateway.ts";
import { openFan } from "../../src/io/udp/udp-fan.ts";

/*
 * A host that maps one port by UPnP, for tests that run it in a namespace: `map`, `unmap` and `list` on its stdin, one
 * line of JSON for whatever comes of it, and for its gateway. Arguments: internal port, external port, lease.
 */
const [internalPort = 0, externalPort = 0, leaseSeconds = 0] = process.argv.slice(2).map(Number);
const tell = (value: unknown) => console.log(JSON.stringify(value ?? null));

const gateway = await defaultGateway();
using _watch = watchDefaultGateway(gateway, (changed) => tell({ type: "gateway", gateway: changed ?? null }), 20);
tell({ type: "gateway", gateway: gateway ?? null });
const { address, localAddress } = gateway ?? { address: "127.0.0.1", localAddress: "127.0.0.1" };
const client = new UpnpClient({
  random: (length) => new Uint8Array(randomBytes(length)),
  gateway: address,
  localAddress,
  transport: "udp",
  internalPort,
  externalPort,
  leaseSeconds,
  nonce: new Uint8Array(12),
  description: "ut lab",
});
using fan = await openFan(Array.from({ length: 3 }, () => ({ address: localAddress })));
using http = gatewayHttp(address, localAddress);
using driven = drive(client, fan, async (event) => {
  if (event.type !== "request") return tell(event);
  client.handleHttp(now(), event.request.id, await http.request(event.request));
  driven.poke();
});

for await (const command of createInterface({ input: process.stdin })) {
  if (command === "map") client.map(now());
  else if (command === "unmap") client.unmap(now());
  else if (command === "list" && gateway !== undefined) tell(await listGatewayMappings(gateway));
  driven.poke();
}

import { afterAll, expect, test } from "bun:test";
import { openDirectSockets } from "../../../../src/app/peers/direct-sockets.ts";
import { openUdp } from "../../../../src/io/udp/udp.ts";
import { Logbook } from "../../../e2e/support/logbook.ts";

const logbook = new Logbook();
const log = logbook.log("agent");
const v4 = { host: "127.0.0.1", port: 0 };
const v6 = { host: "::1", port: 0 };
const open: Disposable[] = [];
afterAll(() => {
  for (const fan of open) fan[Symbol.dispose]();
});

async function locals(...listen: { host: string; port: number }[]) {
  const fan = await openDirectSockets(listen, log);
  open.push(fan);
  return fan.local;
}

test("one of each family, IPv4 first, in whatever order they were given", async () => {
  expect((await locals(v6, v4)).map(({ address }) => address)).toEqual(["127.0.0.1", "::1"]);
  expect((await locals(v6)).map(({ address }) => address)).toEqual(["::1"]);
});

test("both may have one and the same port, and every interface is both families", async () => {
  const [first] = await locals({ host: "0.0.0.0", port: 0 });
  const port = first?.port ?? 0;
  open.pop()?.[Symbol.dispose]();
  expect(await locals({ host: "::", port })).toEqual([
    { address: "0.0.0.0", port },
    { address: "::", port },
  ]);
});

test("without IPv6 there is IPv4, and one line about it; without IPv4 there is nothing", async () => {
  const taken = { host: "::1", onDatagram: () => {}, onDrop: () => {}, onSent: () => {} };
  using socket = await openUdp({ ...taken, port: 0 });
  const { port } = socket;
  expect((await locals(v4, { host: "::1", port })).map(({ address }) => address)).toEqual(["127.0.0.1"]);
  expect(logbook.find("second_socket_fail")).toMatchObject([{ level: "info", address: "::1", port }]);
  using other = await openUdp({ ...taken, host: "127.0.0.1", port: 0 });
  await expect(openDirectSockets([{ host: "127.0.0.1", port: other.port }, v6], log)).rejects.toThrow(/address in use/);
});

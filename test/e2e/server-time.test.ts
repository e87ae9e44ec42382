import { expect, test } from "bun:test";
import { askServerTime } from "../../src/io/server-time.ts";
import { expired, identity, strangersCa } from "./support/identities.ts";
import { testServer } from "./support/nodes.ts";

const home = await identity({ cn: "home" });

test("a server tells its time to a node that it lets in, and is believed by chain and name", async () => {
  await using server = await testServer(9);
  const options = {
    address: "127.0.0.1",
    port: server.port,
    serverName: "127.0.0.1",
    identity: home,
    node: "ut test",
    signal: new AbortController().signal,
  };
  const time = await askServerTime(options);
  // Both clocks are the same one.
  expect(Math.abs(time?.offsetMs ?? Number.NaN)).toBeLessThanOrEqual((time?.rttMs ?? 0) / 2 + 2);
  const others = [
    { serverName: "elsewhere.example" },
    // The trust of somebody else's CA.
    { identity: { ...home, ca: strangersCa.cert } },
    // One that the server does not let in.
    { identity: await identity({ cn: "home", ...expired }) },
    { port: 1 },
  ];
  expect(await Promise.all(others.map((other) => askServerTime({ ...options, ...other })))).toEqual(
    others.map(() => undefined),
  );
});

import { afterAll, describe, expect, test } from "bun:test";
import { formatEndpoint } from "../../src/core/net/endpoint.ts";
import { utf8 } from "../bytes.ts";
import { type ControlPeer, channelPdu, controlPeer, openPipe, shapedOffer } from "./support/control-peer.ts";
import { identity } from "./support/identities.ts";
import { stop, testServer } from "./support/nodes.ts";
import { rawLane } from "./support/raw-lane.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { until } from "./support/until.ts";

const home = await identity({ cn: "home" });
const office = await identity({ cn: "office" });
const STUN = { stun: { listen: [{ host: "127.0.0.1", port: 0 }], public_addrs: [] } };
const INFO = { nat: "unknown", filtering: null, reflex: null, caps: [] } as const;
const signals = (node: Awaited<ReturnType<typeof testServer>>) => node.role.status().signals;

async function seen(peer: ControlPeer): Promise<string> {
  const endpoint = await peer.stun();
  if (endpoint === undefined) throw new Error("STUN did not answer");
  return formatEndpoint(endpoint);
}

describe("a pipe between two peers", () => {
  test("is offered, answered, opened, closed; and the server knows of it", async () => {
    await using server = await testServer(9, { server: STUN });
    using relay = await controlPeer({ port: server.port, identity: home });
    using agent = await controlPeer({ port: server.port, identity: office });
    expect(await relay.heard("hello_ack")).toEqual({
      type: "hello_ack",
      session_id: relay.sessionId,
      epoch: 0,
      caps: ["seq", "channel"],
      time: expect.any(Number),
    });
    const { near, far } = await openPipe(relay, agent);
    expect(await agent.heard("p2p_incoming")).toEqual({
      type: "p2p_incoming",
      channel: far,
      from: "home",
      service: "wireguard",
      offer: shapedOffer("offer"),
      peer: INFO,
    });
    expect(await relay.heard("p2p_opened")).toMatchObject({
      channel: near,
      request_id: 1,
      answer: shapedOffer("answer"),
    });
    expect(near).not.toBe(far);
    expect(signals(server)).toMatchObject({ connections: 2, pipes: 1, pendingOpens: 0, counters: { opened: 1 } });
    expect(server.role.status().sessions).toEqual([]);

    relay.say({ type: "p2p_close", channel: near, reason: "done" });
    expect(await agent.heard("p2p_close")).toEqual({ type: "p2p_close", channel: far, reason: "done" });
    expect(signals(server)?.pipes).toBe(0);
    for (const [event, fields] of [
      ["control_open", { client_cn: "home", session_id: relay.sessionId, node: "raw" }],
      ["peer_registered", { client_cn: "office", session_id: agent.sessionId, node: "raw" }],
      ["pipe_open", { client_cn: "home", peer: "office", service: "wireguard" }],
      ["pipe_close", { client_cn: "home", peer: "office", reason: "done" }],
    ] as const)
      expect(server.logbook.find(event, fields)).toHaveLength(1);
  });

  test("carries datagrams both ways over the lanes of both, and asks for lanes where there are none", async () => {
    await using server = await testServer(9, { server: STUN });
    using relay = await controlPeer({ port: server.port, identity: home });
    using agent = await controlPeer({ port: server.port, identity: office });
    const { near, far } = await openPipe(relay, agent);
    using lane = await rawLane({ port: server.port, identity: home });
    lane.hello({ session_id: relay.sessionId, caps: ["channel"] });
    lane.send(channelPdu(near, utf8("ping")));
    expect(await agent.heard("lanes_wanted")).toEqual({ type: "lanes_wanted", packets: 1 });
    using back = await rawLane({ port: server.port, identity: office });
    back.hello({ session_id: agent.sessionId, caps: ["channel"] });
    await until("the datagram that waited", () => back.datagrams.length === 1);
    back.send(channelPdu(far, utf8("pong")));
    await until("its answer", () => lane.datagrams.length === 1);
    expect([back.datagrams, lane.datagrams].map((all) => all.map((one) => new TextDecoder().decode(one)))).toEqual([
      ["ping"],
      ["pong"],
    ]);
  });

  test("outlives the loss of a control connection, and is found again by the same process", async () => {
    await using server = await testServer(9, { server: STUN });
    using relay = await controlPeer({ port: server.port, identity: home });
    using agent = await controlPeer({ port: server.port, identity: office });
    const { near, far } = await openPipe(relay, agent);
    relay[Symbol.dispose]();
    await until("it to be gone", () => signals(server)?.connections === 1);
    expect(signals(server)?.pipes).toBe(1);
    using again = await controlPeer({ port: server.port, identity: home, sessionId: relay.sessionId });
    again.say({ type: "resume", channels: [near, 5] });
    expect(await again.heard("p2p_close")).toEqual({ type: "p2p_close", channel: 5, reason: "unknown-channel" });
    agent.say({ type: "p2p_close", channel: far, reason: "bye" });
    expect(await again.heard("p2p_close", 1)).toEqual({ type: "p2p_close", channel: near, reason: "bye" });
    expect(server.logbook.find("control_close", { client_cn: "home" })).toHaveLength(1);
  });

  test("goes nowhere when the target says no", async () => {
    await using server = await testServer(9, { server: STUN });
    using relay = await controlPeer({ port: server.port, identity: home });
    using agent = await controlPeer({ port: server.port, identity: office });
    // The target registers later than it is asked for.
    relay.say({ type: "open_p2p", request_id: 7, to: "office", service: "x", offer: shapedOffer("offer") });
    agent.say({ type: "register", node: "" });
    const { channel } = await agent.heard("p2p_incoming");
    agent.say({ type: "p2p_reject", channel: Number(channel), reason: "not-authorised" });
    expect(await relay.heard("p2p_failed")).toEqual({
      type: "p2p_failed",
      request_id: 7,
      reason: "not-authorised",
      by: "target",
    });
    expect(server.logbook.find("pipe_fail")).toMatchObject([
      { client_cn: "home", peer: "office", reason: "not-authorised", by: "target" },
    ]);
  });
});

describe("going direct", () => {
  test("candidates pass, and both ends are told to begin", async () => {
    await using server = await testServer(9, { server: STUN });
    using relay = await controlPeer({ port: server.port, identity: home });
    using agent = await controlPeer({ port: server.port, identity: office });
    const { near, far } = await openPipe(relay, agent);
    const candidate = "1 1 udp 2130706431 192.0.2.1 5000 typ host";
    for (const [end, channel] of [[relay, near] as const, [agent, far] as const])
      end.say({
        type: "candidates",
        channel,
        attempt: 3,
        candidates: [candidate, "gibberish"],
        last: true,
        peer: { ...INFO, caps: [] },
      });
    expect(await agent.heard("candidates")).toMatchObject({ channel: far, attempt: 3, last: true });
    expect(await relay.heard("start_punching")).toMatchObject({ channel: near, attempt: 3 });
    expect(await agent.heard("start_punching")).toMatchObject({ channel: far, attempt: 3 });
    relay.say({ type: "p2p_result", channel: near, winner: "ice", elapsed_ms: 40.4, cause: "" });
    await until("the result", () => signals(server)?.results.ice === 1);
    expect(server.logbook.find("pipe_result")).toMatchObject([
      { client_cn: "home", peer: "office", winner: "ice", elapsed_ms: 40, cause: "" },
    ]);
    expect(signals(server)?.counters.starts).toBe(1);
  });

  test("two that STUN saw are introduced with the addresses that it saw", async () => {
    await using server = await testServer(9, { server: STUN });
    using relay = await controlPeer({ port: server.port, identity: home });
    using agent = await controlPeer({ port: server.port, identity: office });
    const { near, far } = await openPipe(relay, agent);
    const here = await seen(relay);
    const there = await seen(agent);
    relay.say({ type: "punch_request", channel: near, attempt: 1, role: "nat4", reflex: here });
    agent.say({ type: "punch_request", channel: far, attempt: 1, role: "nat3", reflex: there });
    expect(await relay.heard("punch_introduce")).toMatchObject({ channel: near, role: "nat4", peer_reflex: there });
    expect(await agent.heard("punch_introduce")).toMatchObject({ channel: far, role: "nat3", peer_reflex: here });
    agent.say({ type: "punch_ack", channel: far, attempt: 1 });
    expect(await relay.heard("punch_ack")).toEqual({ type: "punch_ack", channel: near, attempt: 1 });
    for (const [client_cn, hardnat_role] of [["home", "nat4"] as const, ["office", "nat3"] as const])
      expect(server.logbook.find("punch_introduce", { client_cn, hardnat_role, attempt: 1 })).toHaveLength(1);
  });

  test("a peer that claims another's address is introduced to nobody", async () => {
    await using server = await testServer(9, { server: STUN });
    using relay = await controlPeer({ port: server.port, identity: home });
    using agent = await controlPeer({ port: server.port, identity: office });
    const { near } = await openPipe(relay, agent);
    await relay.stun();
    const reflex = await seen(agent);
    relay.say({ type: "punch_request", channel: near, attempt: 1, role: "nat4", reflex });
    expect(await relay.heard("punch_reject")).toEqual({
      type: "punch_reject",
      channel: near,
      attempt: 1,
      reason: "reflex-mismatch",
    });
    expect(server.logbook.find("punch_reject")).toMatchObject([{ client_cn: "home", reason: "reflex-mismatch" }]);
    expect(agent.all("punch_introduce")).toEqual([]);
    expect(signals(server)?.counters.punchRejects["reflex-mismatch"]).toBe(1);
  });

  test("a credential ends with its connection", async () => {
    await using server = await testServer(9, { server: STUN });
    using relay = await controlPeer({ port: server.port, identity: home });
    expect((await relay.stun())?.address).toBe("127.0.0.1");
    relay[Symbol.dispose]();
    await until("it to be gone", () => signals(server)?.connections === 0);
    // Answered as anybody is, without the integrity that was asked for.
    expect(await relay.stun(1)).toBeUndefined();
    expect(server.role.status().stun?.counters).toMatchObject({ answered: 3, unauthorized: 0 });
    expect(server.logbook.find("control_close")).toMatchObject([{ client_cn: "home" }]);
  });
});

describe("who is there", () => {
  test("the latest registration wins, and the one before is told so", async () => {
    await using server = await testServer(9, { server: STUN });
    using first = await controlPeer({ port: server.port, identity: office });
    first.say({ type: "register", node: "one" });
    await first.heard("registered");
    using second = await controlPeer({ port: server.port, identity: office });
    second.say({ type: "register", node: "two" });
    await second.heard("registered");
    expect(await first.heard("goodbye")).toEqual({ type: "goodbye", reason: "replaced" });
    await first.lane.closed();
    await until("one to be there", () => signals(server)?.connections === 1);
    expect(signals(server)?.members.map(({ sessionId }) => sessionId)).toEqual([second.sessionId]);
    expect(server.logbook.find("control_close", { reason: "replaced" })).toHaveLength(1);
    expect(server.logbook.has("peer_gone")).toBe(false);
    second[Symbol.dispose]();
    await until("it to be gone", () => server.logbook.has("peer_gone", { client_cn: "office" }));
  });

  test("a server that stops says goodbye, and waits for those who are there to go", async () => {
    await using server = await testServer(9, { server: STUN });
    using before = await controlPeer({ port: server.port, identity: home });
    before[Symbol.dispose]();
    await until("it to be gone", () => signals(server)?.connections === 0);
    using peer = await controlPeer({ port: server.port, identity: home });
    await stop(server);
    expect(await peer.heard("goodbye")).toEqual({ type: "goodbye", reason: "shutdown" });
    await peer.lane.closed();
    expect(signals(server)?.connections).toBe(0);
  });

  test("with server.peers false they are refused, and told why; lanes are not", async () => {
    await using server = await testServer(9, { server: { ...STUN, peers: false } });
    using control = await rawLane({ port: server.port, identity: home });
    control.hello({ kind: "control" });
    await control.closed();
    expect(control.controls).toEqual([
      { type: "err", kind: "peers_off", message: "this server brings no peers together (server.peers: false)" },
    ]);
    expect(server.logbook.find("control_refused")).toMatchObject([{ client_cn: "home", remote: control.local }]);
    expect([...server.counters("home").frameErrors]).toEqual([]);
    expect(signals(server)).toBeUndefined();
    using lane = await rawLane({ port: server.port, identity: home });
    lane.hello();
    await until("hello_ack", () => lane.controls.length === 1);
  });
});

afterAll(() => expectNoSecretsInLogs(home, office));

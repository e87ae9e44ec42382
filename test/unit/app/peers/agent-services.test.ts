import { expect, test } from "bun:test";
import { AgentServices } from "../../../../src/app/peers/agent-services.ts";
import { now } from "../../../../src/io/clock.ts";
import { Logbook } from "../../../e2e/support/logbook.ts";
import { marked, udpEnd } from "../../../e2e/support/udp-end.ts";
import { drivenTime, until } from "../../../e2e/support/until.ts";

const PIPE = 7;

/** An agent with one service, and a pipe of "home" to it. */
function agentOf(port: number) {
  const logbook = new Logbook();
  const target = { host: "127.0.0.1", port };
  const services = new AgentServices([{ name: "echo", target, allow: ["home", "cafe"] }], logbook.log("agent"));
  const back: { pipe: number; flow: number; bytes: number }[] = [];
  const pipes = {
    open: () => PIPE,
    send(pipe: number, flow: number, datagram: Uint8Array) {
      back.push({ pipe, flow, bytes: datagram.length });
      return now();
    },
    close() {},
  };
  return { services, logbook, back, accept: () => services.accept(pipes, PIPE, "echo", "home") };
}

test("only who is named may use what there is", () => {
  const { services } = agentOf(9);
  const asked = [
    ["home", "echo"],
    ["cafe", "echo"],
    ["home2", "echo"],
    ["home", "Echo"],
    ["home", ""],
    ["home", "constructor"],
  ];
  expect(asked.map(([cn = "", service = ""]) => services.authorise(cn, service))).toEqual([
    ...[true, true],
    ...[false, false, false, false],
  ]);
  expect(new AgentServices([], new Logbook().log("agent")).authorise("home", "echo")).toBe(false);
});

test("each flow is a socket of its own towards the service, and answers come under its number", async () => {
  using echo = await udpEnd({ echo: true });
  const { services, back, accept } = agentOf(echo.port);
  using _ = services;
  const user = accept();
  user.deliver(2, [marked(0, 10), marked(1, 11)]);
  user.deliver(5, [marked(2, 12)]);
  await until("three answers", () => back.length === 3);
  expect(new Set(echo.fromPorts).size).toBe(2);
  expect(back.toSorted((a, b) => a.bytes - b.bytes)).toEqual([
    { pipe: PIPE, flow: 2, bytes: 10 },
    { pipe: PIPE, flow: 2, bytes: 11 },
    { pipe: PIPE, flow: 5, bytes: 12 },
  ]);
  expect(services.flows).toBe(2);
  user.closed();
  expect(services.flows).toBe(0);
});

test("a pipe has room for 128 flows: the one that rested longest goes, and a flow that rests five minutes ends", async () => {
  using time = drivenTime();
  using echo = await udpEnd({ echo: true });
  const { services, logbook, back, accept } = agentOf(echo.port);
  using _ = services;
  const user = accept();
  for (let flow = 2; flow < 2 + 129; flow++) {
    user.deliver(flow, [marked(flow)]);
    await until("its answer", () => back.length === flow - 1);
    time.advance(1);
  }
  expect(services.flows).toBe(128);
  expect(logbook.find("flow_close")).toMatchObject([{ flow: 2 }]);
  time.advance(301_000);
  expect(services.flows).toBe(0);
});

test("a service that is not there is no reason to end anything", async () => {
  const gone = await udpEnd();
  const { port } = gone;
  gone[Symbol.dispose]();
  const { services, logbook, accept } = agentOf(port);
  using _ = services;
  const user = accept();
  user.deliver(2, [marked(0)]);
  await until("a word about it", () => logbook.has("udp_unreachable"));
  expect(services.flows).toBe(1);
});

import { expect, test } from "bun:test";
import { type PipeUser, PipeUsers } from "../../../../src/app/peers/pipe-users.ts";
import type { FlowDatagram } from "../../../../src/core/peer/peer-event.ts";

function recorded() {
  const calls: unknown[] = [];
  const failed: unknown[] = [];
  const user = (name: string): PipeUser => ({
    deliver: (flow, datagrams) => void calls.push([name, flow, datagrams.length]),
    opened: () => void calls.push([name, "opened"]),
    direct: (conn) => void calls.push([name, "direct", conn?.remote.port]),
    closed: () => void calls.push([name, "closed"]),
  });
  const users = new PipeUsers({
    accept: (_pipe, service, peer) => user(`${peer}'s ${service}`),
    connOf: ({ remote, meta }) => ({ socket: { address: "10.1.0.2", port: 1 }, remote, meta }),
    failed: (pipe, error) => void failed.push([pipe, String(error)]),
  });
  const deliver = (...datagrams: (readonly [pipe: number, flow: number])[]) => {
    const all: FlowDatagram[] = datagrams.map(([pipe, flow]) => ({ pipe, flow, payload: new Uint8Array() }));
    users.deliver(() => all.shift());
  };
  return { users, user, calls, failed, deliver };
}

const opened = { type: "opened", pipe: 7, peer: "home", service: "echo" } as const;

test("each is told of its own pipe, neighbours of one flow in one go, and of nothing after its end", () => {
  const { users, user, calls, deliver } = recorded();
  users.add(1, user("mine"));
  users.handle({ ...opened, pipe: 1, role: "initiator" });
  users.handle({ ...opened, role: "responder" });
  deliver([1, 2], [1, 2], [1, 3], [7, 3], [9, 3]);
  users.handle({ type: "closed", pipe: 1, reason: "done" });
  deliver([1, 2], [7, 2]);
  expect(calls).toEqual([
    ["mine", "opened"],
    ["mine", 2, 2],
    ["mine", 3, 1],
    ["home's echo", 3, 1],
    ["mine", "closed"],
    ["home's echo", 2, 1],
  ]);
  expect(users.count).toBe(1);
});

test("an error in a role's hands is that pipe's; the others go on, and what has ended is forgotten all the same", () => {
  const { users, user, calls, failed, deliver } = recorded();
  const broken = () => {
    throw new Error("no");
  };
  users.add(1, { deliver: broken, direct: broken, closed: broken });
  users.add(2, user("whole"));
  deliver([1, 2], [2, 2]);
  users.handle({ type: "direct-down", pipe: 1 });
  users.handle({ type: "closed", pipe: 1, reason: "fault" });
  expect(failed).toEqual(Array(3).fill([1, "Error: no"]));
  expect(calls).toEqual([["whole", 2, 1]]);
  expect(users.count).toBe(1);
});

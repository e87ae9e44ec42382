import { expect, test } from "bun:test";
import type { Candidate, LocalCandidate } from "../../../../src/core/ice/candidate.ts";
import { openings } from "../../../../src/core/peer/opening.ts";
import { decodeStun } from "../../../../src/core/stun/message.ts";
import { Random } from "../../../random.ts";

const at = (address: string, port = 5_000) => ({ address, port });
const random = new Random(1);

function local(socket: number, address: string): LocalCandidate {
  const endpoint = at(address);
  return { type: "host", foundation: "1", priority: 1, endpoint, base: endpoint, socket } as LocalCandidate;
}

function remote(type: Candidate["type"], address: string, port?: number): Candidate {
  return { type, foundation: "1", priority: 1, endpoint: at(address, port) };
}

const openingsOf = (own: LocalCandidate[], remotes: Candidate[]) =>
  openings((length) => random.bytes(length), own, remotes);

test("one from each socket to each reflexive address of its family, that gets no farther than two hops", () => {
  const own = [local(0, "10.1.0.2"), local(0, "10.1.0.3"), local(1, "2001:db8::2")];
  const remotes = [remote("host", "10.2.0.2"), remote("srflx", "198.51.100.6"), remote("srflx", "2001:db8::6")];
  const sent = openingsOf(own, remotes);
  expect(sent.map(({ socket, to, ttl }) => [socket, to.address, ttl])).toEqual([
    [0, "198.51.100.6", 2],
    [1, "2001:db8::6", 2],
  ]);
  for (const { payload } of sent)
    expect(decodeStun(payload)).toMatchObject({ ok: true, message: { class: "indication", attributes: {} } });
});

test("eight at most, whatever the other end tells", () => {
  const remotes = Array.from({ length: 32 }, (_, port) => remote("srflx", "198.51.100.6", port + 1));
  expect(openingsOf([local(0, "10.1.0.2")], remotes)).toHaveLength(8);
});

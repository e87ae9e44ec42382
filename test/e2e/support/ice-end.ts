import { randomBytes } from "node:crypto";
import type { Candidate } from "../../../src/core/ice/candidate.ts";
import { createIceCredentials, type IceCredentials } from "../../../src/core/ice/credentials.ts";
import { gatherCandidates } from "../../../src/core/ice/gather.ts";
import { IceAgent, type IceEvent } from "../../../src/core/ice/ice-agent.ts";
import type { Datagram } from "../../../src/core/machine.ts";
import { looksLikeStun } from "../../../src/core/stun/message.ts";
import { now } from "../../../src/io/clock.ts";
import { drive } from "../../../src/io/drive.ts";
import { openFan } from "../../../src/io/udp/udp-fan.ts";

/** Our ICE agent on one real socket, driven as a node drives it. */
export interface IceEndpoint extends Disposable {
  readonly agent: IceAgent;
  readonly credentials: IceCredentials;
  readonly candidates: readonly Candidate[];
  readonly events: readonly IceEvent[];
  readonly heard: readonly string[];
  readonly selected: (IceEvent & { readonly type: "selected" }) | undefined;
  setRemote(credentials: IceCredentials): void;
  addRemotes(candidates: readonly Candidate[], last: boolean): void;
  start(): void;
  say(text: string): void;
}

export async function iceEndpoint(address: string, controlling: boolean): Promise<IceEndpoint> {
  using opening = new DisposableStack();
  const fan = opening.use(await openFan([{ address }]));
  const hosts = fan.local.map((endpoint, socket) => ({ endpoint, socket }));
  const candidates = gatherCandidates({ hosts, reflexive: [] }, { includeLoopback: true });
  const random = (length: number) => new Uint8Array(randomBytes(length));
  const credentials = createIceCredentials(random);
  const agent = new IceAgent({ random, controlling, local: credentials, candidates });
  const events: IceEvent[] = [];
  const heard: string[] = [];
  // Of what comes, the agent gets STUN only.
  const stun = {
    onDatagram: (_: Datagram) => {},
    send: fan.send,
  };
  fan.onDatagram = (datagram) => {
    if (looksLikeStun(datagram.payload)) stun.onDatagram(datagram);
    else heard.push(new TextDecoder().decode(datagram.payload));
  };
  const driven = opening.use(drive(agent, stun, (event) => events.push(event)));
  const open = opening.move();
  const end: IceEndpoint = {
    agent,
    credentials,
    candidates,
    events,
    heard,
    get selected() {
      return events.find((event) => event.type === "selected");
    },
    setRemote: (remote) => agent.setRemote(remote),
    addRemotes(remotes, last) {
      agent.addRemotes(remotes, last);
      driven.poke();
    },
    start() {
      agent.start(now());
      driven.poke();
    },
    say(text) {
      const { selected } = end;
      if (selected === undefined) return;
      const { socket, remote } = selected;
      fan.send([{ socket, to: remote.endpoint, payload: new TextEncoder().encode(text) }]);
    },
    [Symbol.dispose]: () => open.dispose(),
  };
  return end;
}

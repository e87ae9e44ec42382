import { CandidatePairState, Connection, Candidate as WeriftCandidate } from "werift-ice";
import { type Candidate, formatCandidate, parseCandidate } from "../../../src/core/ice/candidate.ts";
import type { IceCredentials } from "../../../src/core/ice/credentials.ts";
import type { Endpoint } from "../../../src/core/net/endpoint.ts";
import { ipFamily } from "../../../src/core/net/ip.ts";

/** An ICE agent of another make (werift-ice) with one socket on loopback. */
export interface WeriftEnd extends AsyncDisposable {
  readonly connection: Connection;
  readonly credentials: IceCredentials;
  readonly candidates: readonly Candidate[];
  readonly heard: readonly string[];
  readonly controlling: boolean;
  /** Of the pair it uses, once there is one. */
  readonly selected: { readonly local: Endpoint; readonly remote: Endpoint } | undefined;
  setRemote(credentials: IceCredentials): void;
  /** `last`: no more will come. */
  addRemotes(candidates: readonly Candidate[], last: boolean): Promise<void>;
  /** Begins; resolves once it has selected a pair, rejects if it finds none. */
  connect(): Promise<void>;
  say(text: string): Promise<void>;
}

/** @param stun is asked while it gathers: without one it would ask a server on the internet */
export async function weriftEnd(address: string, controlling: boolean, stun: Endpoint): Promise<WeriftEnd> {
  const family = ipFamily(address);
  const connection = new Connection(controlling, {
    stunServer: [stun.address, stun.port],
    useIpv4: false,
    useIpv6: false,
    additionalHostAddresses: [address],
    interfaceAddresses: family === 4 ? { udp4: address } : { udp6: address },
  });
  const heard: string[] = [];
  connection.onData.subscribe((data) => heard.push(new TextDecoder().decode(data)));
  await connection.gatherCandidates();
  const texts = connection.localCandidates.map((candidate) => `candidate:${candidate.toSdp()}`);
  return {
    connection,
    heard,
    credentials: { ufrag: connection.localUsername, pwd: connection.localPassword },
    candidates: texts.map(parseCandidate).filter((candidate) => candidate !== undefined),
    get controlling() {
      return connection.iceControlling;
    },
    get selected() {
      const pair = connection.nominated;
      if (pair === undefined || pair.state !== CandidatePairState.SUCCEEDED) return undefined;
      const { host, port } = pair.localCandidate;
      const [remoteHost, remotePort] = pair.remoteAddr;
      return { local: { address: host, port }, remote: { address: remoteHost, port: remotePort } };
    },
    setRemote: ({ ufrag, pwd }) =>
      connection.setRemoteParams({ iceLite: false, usernameFragment: ufrag, password: pwd }),
    async addRemotes(candidates, last) {
      for (const candidate of candidates)
        await connection.addRemoteCandidate(
          WeriftCandidate.fromSdp(formatCandidate(candidate).replace("candidate:", "")),
        );
      if (last) await connection.addRemoteCandidate(undefined);
    },
    connect: () => connection.connect(),
    say: (text) => connection.send(Buffer.from(text)),
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

import { gatherCandidates } from "../ice/gather.ts";
import { ipFamily } from "../net/ip.ts";
import { KEEPALIVE_MS } from "../pipe/path-monitor.ts";
import { OVERALL_LIMITS, PunchBudget } from "../punch/budget.ts";
import { SignalClient } from "../signal/client.ts";
import type { SignalClientEvent } from "../signal/client-event.ts";
import type { Instant } from "../time.ts";
import type { PeerInfo } from "../wire/signal.ts";
import type { OwnNetwork } from "./attempt-parts.ts";
import { FanSockets } from "./fan-sockets.ts";
import { PeerMemory } from "./memory.ts";
import { Outbox } from "./outbox.ts";
import { PathTotals } from "./path-totals.ts";
import type { PeerNetwork, PeerOptions } from "./peer-options.ts";
import { ServerReflex } from "./server-reflex.ts";
import { SessionNumbers } from "./session-numbers.ts";
import { CAP_DIRECT, CAP_PORT_MAPPED } from "./shortcut.ts";

type StunCredential = Extract<SignalClientEvent, { type: "stun-credential" }>;

const LEAST_KEEPALIVE_MS = 1_000;

/** What all pipes of a process have in common. */
export class PeerShared {
  readonly options: PeerOptions;
  readonly out = new Outbox();
  readonly fans = new FanSockets(this.out);
  readonly memory = new PeerMemory();
  readonly signals: SignalClient;
  readonly reflex: ServerReflex;
  readonly sessions: SessionNumbers;
  /** Of all punches together. */
  readonly overall = new PunchBudget(OVERALL_LIMITS);
  /** What pipes that are gone have carried. */
  readonly totals = new PathTotals();
  /** Undefined before it was told. */
  network: PeerNetwork | undefined;

  constructor(options: PeerOptions) {
    const { random, node, isTarget } = options;
    this.options = options;
    this.signals = new SignalClient({ random, node, isTarget });
    this.reflex = new ServerReflex(random);
    this.sessions = new SessionNumbers(random);
  }

  /** Below what the NAT remembers, with room for two that are lost. */
  get keepaliveMs(): number {
    const lifetimeMs = this.network?.mappingLifetimeMs ?? Number.POSITIVE_INFINITY;
    return Math.min(KEEPALIVE_MS, Math.max(LEAST_KEEPALIVE_MS, lifetimeMs / 3));
  }

  /** The shared socket that the server is asked about and nat3 punches from: of IPv4, where NATs are. */
  get punchSocket(): number {
    const hosts = this.network?.gathered.hosts ?? [];
    return hosts.find(({ endpoint }) => ipFamily(endpoint.address) === 4)?.socket ?? 0;
  }

  /** Asked under it, the server's STUN port tells the server which address is ours. */
  useCredential(now: Instant, address: string | undefined, credential: StunCredential): void {
    const { username, password, port } = credential;
    // The shared socket that punches is one of IPv4.
    const isReachable = port !== 0 && address !== undefined && ipFamily(address) === 4;
    this.reflex.setServer(isReachable ? { endpoint: { address, port }, username, password } : undefined);
    if (this.network !== undefined) this.reflex.refresh(now, this.punchSocket);
  }

  /** Why nothing at all is tried with such a peer; undefined: it is. */
  whyNot(peer: PeerInfo): string | undefined {
    const { direct, prefer } = this.options;
    if (!direct || this.network === undefined) return "off";
    if (prefer === "relay") return "prefers-relay";
    return peer.caps.includes(CAP_DIRECT) ? undefined : "unsupported";
  }

  /** For the other end of an attempt. */
  ownNetwork(): OwnNetwork {
    const nat = this.network?.nat ?? { type: "unknown", filtering: null };
    const { hosts = [], reflexive = [] } = this.network?.gathered ?? {};
    const seen = this.reflex.mapped;
    // The newest word goes first, and is checked whatever becomes of older ones: the NAT may have taken another port.
    const now = { socket: this.punchSocket, via: "this attempt" };
    const all = seen === undefined ? reflexive : [{ endpoint: seen, ...now }, ...reflexive];
    const candidates = gatherCandidates({ hosts, reflexive: all }, this.options);
    return { nat, isPortMapped: this.network?.isPortMapped ?? false, candidates };
  }

  /** For the server and, with candidates, for other ends. */
  ownInfo(): PeerInfo {
    const { direct } = this.options;
    const caps = [...(direct ? [CAP_DIRECT] : []), ...(this.network?.isPortMapped === true ? [CAP_PORT_MAPPED] : [])];
    const { type = "unknown", filtering = null } = this.network?.nat ?? {};
    // Who does not go direct has no reason to say where it is.
    return { nat: type, filtering, reflex: direct ? (this.network?.reflex ?? null) : null, caps };
  }
}

import { type Nat4Watcher, runNat4 } from "../../app/nat/nat4.ts";
import { UtError } from "../../core/error.ts";
import { TARGET_LIMITS } from "../../core/punch/budget.ts";
import { estimatePunch } from "../../core/punch/estimate.ts";
import { MAX_CONTENT_BYTES, type PunchRole } from "../../core/punch/probe.ts";
import { PUNCH_DEFAULTS, PUNCH_RANGES, type Range } from "../../core/punch/settings.ts";
import type { Command, Terminal } from "../command.ts";
import { LivePanel } from "../live-panel.ts";
import { DEFAULT_WINDOW_MS, type Nat4Call, readNat4Call, TOKEN_VARIABLE } from "./nat4-flags.ts";
import {
  formatDiscovered,
  formatEstimate,
  formatHit,
  formatProgress,
  formatReport,
  formatStarted,
  UNAUTHENTICATED,
} from "./nat4-view.ts";

const range = ({ min, max }: Range, fallback: number | string) => `${min} to ${max} (${fallback})`;

const HELP = `ut nat4 nat3-send -t IP [flags] [content]
ut nat4 nat4-send -t IP:PORT [flags] [content]

Tries by hand whether two hosts behind NATs can reach each other over UDP where an ordinary hole punch fails: one
behind a NAT that keeps a socket's port (nat3-send), the other behind one that gives each destination another port
(nat4-send). nat4-send opens many ports towards nat3-send, which tries ports until it finds one of them. Start both at
about the same time; nat3 and nat4 are short for the two. [content] is shown at the other end.

  -t, --target            nat3-send: the other end's public IP; nat4-send: its IP:PORT
  -c, --count N           nat3-send: ports of a batch, ${range(PUNCH_RANGES.scanCount, PUNCH_DEFAULTS.scanCount)}
                          nat4-send: sockets, ${range(PUNCH_RANGES.socketCount, PUNCH_DEFAULTS.socketCount)}
  --peer-count N          the other end's --count, for the odds
  --interval MS           a batch is sent again, mappings are kept open, ${range(PUNCH_RANGES.intervalMs, PUNCH_DEFAULTS.intervalMs)}
  --batch-interval MS     new ports, ${range(PUNCH_RANGES.batchIntervalMs, PUNCH_DEFAULTS.batchIntervalMs)}
  --ports ORDER           nat3-send: permuted (each port once, the default) or random
  --ttl N                 nat4-send: time to live of what opens the ports, ${range(PUNCH_RANGES.ttl, "auto")}: it must pass
                          the own NATs and not reach the other one. auto: 2, which does so behind one home router; half
                          of the sockets climb soon, for a carrier's NAT, the others in the second half of the window
  --no-ttl                nat4-send: the full time to live
  -l, --local ADDR        ADDRESS, ADDRESS:PORT or :PORT to send from; nat4-send takes the ports from PORT on
  --discover-public-addr  ask STUN servers for the own public address first
  --stun-server HOST:PORT ask this one, not the usual ones; once for each. Two show whether the port is fixed
  --pause-after-discovery wait for Enter before the first packet; the port is kept open meanwhile
  --token SECRET          the same at both ends: only who knows it can hit. Without it hits are unauthenticated.
  --token-file FILE       the same from a file, or from ${TOKEN_VARIABLE}: other users see command lines
  --window MS             the deadline, ${range(PUNCH_RANGES.windowMs, DEFAULT_WINDOW_MS)}
  --rate N                packets a second at most (${TARGET_LIMITS.packetsPerSecond})
  --max-mappings N        entries in this side's NAT at most (${TARGET_LIMITS.mappings}, or --count if that is more)
  --dry-run               send nothing; print probability, packets and seconds
  --json                  one JSON object on stdout, everything else on stderr

Content is ${MAX_CONTENT_BYTES} bytes at most. Exit code: 0 confirmed both ways, 1 nothing by the deadline, 130 interrupted.`;

const ROLES: Readonly<Record<string, PunchRole>> = {
  "nat3-send": "nat3",
  nat3: "nat3",
  "nat4-send": "nat4",
  nat4: "nat4",
};

const EXIT_INTERRUPTED = 130;
const EXIT_CODES = { confirmed: 0, failed: 1, interrupted: EXIT_INTERRUPTED } as const;

/** What `ut nat4` needs beyond its terminal; tests replace it. */
export interface Nat4Surroundings {
  readonly run: typeof runNat4;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Resolves at the next line of input, or when there is none any more. */
  nextLine(): Promise<void>;
}

/** `ut nat4`: one end of a hard-NAT punch by hand. */
export function nat4Command({ run, environment, nextLine }: Nat4Surroundings): Command {
  return {
    name: "nat4",
    summary: "try to punch through a symmetric NAT, one command at each end",
    help: HELP,
    async run(argv, terminal) {
      const [name = "", ...rest] = argv;
      const role = Object.hasOwn(ROLES, name) ? ROLES[name] : undefined;
      if (role === undefined)
        throw new UtError(
          "usage.unknown-command",
          `Cannot run "ut nat4 ${name}": expected nat3-send or nat4-send (see "ut nat4 --help")`,
        );
      const call = readNat4Call(role, rest, environment);
      if (call.dryRun) {
        printEstimate(call, terminal);
        return 0;
      }
      const panel = terminal.interactive && !call.json ? new LivePanel(terminal) : undefined;
      // With --json stdout is the report's alone.
      const say = (text: string) => (call.json ? terminal.err(text) : panel ? panel.print(text) : terminal.out(text));
      if (call.options.token === undefined) say(UNAUTHENTICATED);
      const pause = async () => {
        if (!call.pauseAfterDiscovery) return;
        say("press Enter to start, when the other end is ready, too");
        await nextLine();
      };
      const report = await run({ ...call.options, pause, signal: terminal.signal }, watch(call, say, panel));
      if (call.json) terminal.out(JSON.stringify(report));
      else say(formatReport(report, call.options).join("\n"));
      return EXIT_CODES[report.outcome];
    },
  };
}

export const nat4: Command = nat4Command({ run: runNat4, environment: process.env, nextLine });

function printEstimate({ options, json }: Nat4Call, terminal: Terminal): void {
  if (json) terminal.out(JSON.stringify({ role: options.role, ...estimatePunch(options.settings, options.limits) }));
  else for (const line of formatEstimate(options)) terminal.out(line);
}

function watch({ options }: Nat4Call, say: (text: string) => void, panel: LivePanel | undefined): Nat4Watcher {
  const { role, settings } = options;
  return {
    discovered: (discovered) => say(formatDiscovered(role, discovered).join("\n")),
    started: (local) => say(formatStarted(options, local)),
    hit: (hit, local) => say(formatHit(role, hit, local)),
    progress: (progress) => panel?.draw([formatProgress(role, progress, settings.windowMs)]),
  };
}

async function nextLine(): Promise<void> {
  for await (const _ of process.stdin) return;
}

import type { Lifetime, measureLifetime } from "../../app/nat/mapping-lifetime.ts";
import type { NatReport } from "../../core/nat/nat-report.ts";
import { now } from "../../io/clock.ts";
import type { Terminal } from "../command.ts";
import { bar, LivePanel } from "../live-panel.ts";

const LIMIT_MS = 900_000;
const REDRAW_MS = 1_000;
const BAR_WIDTH = 30;

const BEGIN = "Measuring how long this NAT remembers a silent port; 15 minutes at most, Ctrl-C ends it sooner";

/** Measures with progress, and prints what came of it. */
export async function showLifetime(
  measure: typeof measureLifetime,
  report: NatReport,
  terminal: Terminal,
): Promise<void> {
  const panel = terminal.interactive ? new LivePanel(terminal) : undefined;
  const startedAt = now();
  let known = "nothing is known yet";
  const draw = () => {
    const elapsedMs = now() - startedAt;
    const minutes = `${Math.floor(elapsedMs / 60_000)}:${`${Math.floor(elapsedMs / 1_000) % 60}`.padStart(2, "0")}`;
    panel?.draw([`${bar(elapsedMs / LIMIT_MS, BAR_WIDTH)} ${minutes} of at most 15:00`, known]);
  };
  terminal.out(`\n${BEGIN}`);
  const timer = panel === undefined ? undefined : setInterval(draw, REDRAW_MS);
  try {
    const lifetime = await measure(report, terminal.signal, (so) => {
      const before = known;
      known = formatLifetime(so);
      if (panel !== undefined) draw();
      else if (known !== before) terminal.out(`  ${known}`);
    });
    const text = lifetime === undefined ? unmeasured(report, terminal) : `Lifetime: ${formatLifetime(lifetime)}`;
    if (panel === undefined) terminal.out(text);
    else panel.print(text);
  } finally {
    clearInterval(timer);
  }
}

/** `a silent port is remembered for 28 s, and forgotten within 31 s` */
function formatLifetime({ atLeastMs, atMostMs }: Lifetime): string {
  const atLeast = `${Math.floor(atLeastMs / 1_000)} s`;
  if (atMostMs === undefined) return `a silent port is remembered for at least ${atLeast}`;
  const atMost = `${Math.ceil(atMostMs / 1_000)} s`;
  if (atLeastMs === 0) return `a silent port is forgotten within ${atMost}`;
  return `a silent port is remembered for ${atLeast}, and forgotten within ${atMost}`;
}

function unmeasured({ type }: NatReport, { signal }: Terminal): string {
  if (signal.aborted) return "Lifetime: interrupted before anything was known";
  if (type === "cone" || type === "symmetric")
    return "Lifetime: could not be measured: what this NAT lets in does not show whether it remembers a port";
  return "Lifetime: there is nothing to be measured";
}

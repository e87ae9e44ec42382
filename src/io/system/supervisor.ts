import type { Log } from "../log/log.ts";
import { sendUnixDatagram } from "./unix-datagram.ts";

/** What systemd tells a service that it supervises: sd_notify(3), sd_watchdog_enabled(3). */
type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Who started this process and wants to know how it does: systemd, with `Type=notify` and `WatchdogSec=`. Where nobody
 * asks (no `NOTIFY_SOCKET`) all of it does nothing. Disposal stops the watchdog's timer.
 */
export interface Supervisor extends Disposable {
  /** It listens; what depends on it may start. */
  ready(status: string): void;
  /** The config is read again, by `reload`. */
  reloading(reload: () => void): void;
  /** It drains and will end. */
  stopping(): void;
}

/**
 * From `ready` on, sends WATCHDOG=1 at half the time that systemd allows. It comes from a timer of the event loop, so a
 * loop that hangs is silent, and systemd starts the service anew. A socket that cannot be reached is told once.
 */
export function openSupervisor(log: Log, env: Environment = process.env): Supervisor {
  const socket = env.NOTIFY_SOCKET;
  const watchdogMs = watchdogInterval(env);
  let watchdog: ReturnType<typeof setInterval> | undefined;
  let isUnreachable = false;

  // Waits, as sd_notify(3) does: a service whose READY=1 is lost is ended as one that never came up.
  function notify(state: string): void {
    if (!socket || sendUnixDatagram(socket, state, "wait") || isUnreachable) return;
    isUnreachable = true;
    log.warn("supervisor_unreachable", { socket });
  }

  /** One of many, for which no datagram has to wait. */
  function notifyAlive(): void {
    if (socket) sendUnixDatagram(socket, "WATCHDOG=1", "drop");
  }

  return {
    ready(status) {
      notify(`READY=1\nSTATUS=${status.replaceAll("\n", " ")}`);
      if (watchdogMs !== undefined) watchdog ??= setInterval(notifyAlive, watchdogMs);
    },
    reloading(reload) {
      notify("RELOADING=1");
      reload();
      notify("READY=1");
    },
    stopping: () => notify("STOPPING=1\nSTATUS=draining"),
    [Symbol.dispose]: () => clearInterval(watchdog),
  };
}

/** Half of WATCHDOG_USEC, in ms; undefined without a watchdog, or where it is meant for another process. */
function watchdogInterval({ WATCHDOG_USEC, WATCHDOG_PID }: Environment): number | undefined {
  const microseconds = Number(WATCHDOG_USEC);
  if (!(microseconds > 0) || (WATCHDOG_PID && Number(WATCHDOG_PID) !== process.pid)) return undefined;
  return Math.max(1, Math.floor(microseconds / 2_000));
}

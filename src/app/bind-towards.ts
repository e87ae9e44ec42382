/** Where to bind a UDP socket that talks to `target` alone: on loopback nobody else can send to it. */
export function bindTowards(target: string): string {
  if (target === "localhost" || target.startsWith("127.")) return "127.0.0.1";
  if (target === "::1") return "::1";
  return target.includes(":") ? "::" : "0.0.0.0";
}

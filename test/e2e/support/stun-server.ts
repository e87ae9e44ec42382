import { serverIdentity } from "./identities.ts";
import { configFolder, startUt } from "./ut-process.ts";

/** A `ut server` as a process of its own that answers STUN at two ports of loopback; `address` is the first of them. */
export async function stunServer(): Promise<{ readonly address: string } & AsyncDisposable> {
  const config = await configFolder(serverIdentity, {
    role: "server",
    tcp: { listen_addr: "127.0.0.1:0" },
    server: { stun: { listen: ["127.0.0.1:0", "127.0.0.1:0"] } },
  });
  const server = startUt("-config", config.path);
  const { stun } = await server.logged("start");
  return {
    address: String((stun as string[])[0]),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await config[Symbol.asyncDispose]();
    },
  };
}

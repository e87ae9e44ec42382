import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** The network between client and server: TCP connections that a test can cut, hold up, or turn away. */
export interface Wire extends AsyncDisposable {
  readonly port: number;
  /** Connections that are up, oldest first. */
  readonly connections: readonly WireConnection[];
  /** While false, whoever connects is reset at once. */
  accepting: boolean;
}

export interface WireConnection {
  /** The port that the target sees. */
  readonly farPort: number;
  /** Both ends get a reset; what was on its way is gone. */
  cut(): void;
  /** Bytes stop moving either way, and nobody is told. */
  hold(): void;
  release(): void;
}

export async function wire(targetPort: number): Promise<Wire> {
  const connections: WireConnection[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    if (!result.accepting) {
      near.resetAndDestroy();
      return;
    }
    const far = connect({ host: "127.0.0.1", port: targetPort, allowHalfOpen: true, noDelay: true });
    const ends: readonly Socket[] = [near, far];
    const connection: WireConnection = {
      get farPort() {
        return far.localPort ?? 0;
      },
      cut: () => {
        for (const end of ends) end.resetAndDestroy();
      },
      hold: () => {
        near.unpipe(far).pause();
        far.unpipe(near).pause();
      },
      release: () => {
        near.pipe(far);
        far.pipe(near);
      },
    };
    connection.release();
    connections.push(connection);
    for (const end of ends) {
      end.on("error", () => connection.cut());
      end.on("close", () => {
        const index = connections.indexOf(connection);
        if (index >= 0) connections.splice(index, 1);
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const result: Wire = {
    port: (server.address() as AddressInfo).port,
    connections,
    accepting: true,
    async [Symbol.asyncDispose]() {
      for (const connection of [...connections]) connection.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return result;
}

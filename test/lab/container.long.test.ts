import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { describeWith } from "../e2e/support/describe-with.ts";
import { udpEnd } from "../e2e/support/udp-end.ts";
import { Buildah } from "./buildah.ts";
import { onlyChildOf } from "./child-of.ts";
import { describeLab } from "./describe-lab.ts";
import { openInside } from "./inside.ts";
import type { Job } from "./job.ts";
import { Lab } from "./lab.ts";
import { type Namespace, runCommand } from "./namespace.ts";

/**
 * The Dockerfile, built by buildah on images that stand in for those of registries, and what it makes: run as a runtime
 * would run it, with nothing but the image's own files, /proc, three devices and the mounted folder.
 */
const IMAGE = "localhost/ut";
const ROOT = join(import.meta.dir, "../..");

describeWith(["buildah"], "the container", () => {
  describeLab("of the Dockerfile", () => {
    let lab: Lab;
    let buildah: Buildah;
    let host: Namespace;
    let docker: {
      User: string;
      Entrypoint: string[];
      Healthcheck: { Test: string[] };
      ExposedPorts: object;
      Cmd: null;
    };

    beforeAll(async () => {
      lab = await Lab.open();
      host = await lab.namespace("host");
      // Where another container would come from.
      await host.ip(["addr add 172.17.0.2/32 dev lo"]);
      buildah = new Buildah(await lab.subfolder("buildah"));
      const arch = process.arch === "arm64" ? "arm64" : "amd64";
      await buildah.build(IMAGE, { COMMIT: "0123456789ab", TARGETARCH: arch, BUILDPLATFORM: `linux/${arch}` });
      docker = JSON.parse(await buildah.run(["inspect", "--type", "image", IMAGE])).Docker.config;
    }, 300_000);
    afterAll(async () => {
      await buildah?.run(["rm", "--all"]);
      await lab?.[Symbol.asyncDispose]();
    });

    test("is an unprivileged user's, with the entry point and the health check that the documents name", () => {
      expect(docker).toMatchObject({
        User: "65532:65532",
        Entrypoint: ["/usr/local/bin/ut", "-config", "/etc/ut/ut.yaml"],
        ExposedPorts: { "5443/tcp": {} },
      });
      expect(docker.Cmd ?? []).toEqual([]);
      expect(docker.Healthcheck.Test).toEqual(["CMD", "/usr/local/bin/ut", "health", "-config", "/etc/ut/ut.yaml"]);
    });

    test("holds one file more than its base", async () => {
      const files = async (image: string) =>
        (await runCommand(["find", await buildah.rootOf(image), "-type", "f", "-printf", "/%P\n"])).split("\n");
      const base = await files("localhost/distroless-stand-in");
      expect((await files(IMAGE)).filter((file) => !base.includes(file))).toEqual(["/usr/local/bin/ut"]);
    }, 60_000);

    test("server and client carry datagrams; metrics and health answer; SIGTERM drains", async () => {
      const [server, client] = [await lab.subfolder("server-etc"), await lab.subfolder("client-etc")];
      await certificates(server, client);
      await Bun.write(join(server, "ut.yaml"), SERVER);
      const example = await Bun.file(join(ROOT, "config/container.yaml")).text();
      await Bun.write(join(client, "ut.yaml"), example.replace("ec2.example.com:5443", "127.0.0.1:5443"));

      // The server's key is readable for root alone in its folder, and handed over as a secret is.
      const secrets = await lab.subfolder("secrets");
      await Bun.write(join(secrets, "tls.key"), await Bun.file(join(server, "server.key")).text());
      await runCommand(["chown", "-R", "65532", secrets]);
      await chmod(join(server, "server.key"), 0o600);
      const refused = await start("refused", server);
      await refused.job.line(/Cannot use .etc.ut.server\.key as tls\.key: permission denied/);

      await using gate = await start("server", server, ["--credentials", "/run/secrets"], secrets);
      await gate.job.line(/"event":"start"/);
      await using home = await start("client", client);
      await home.job.line(/"event":"start"/);
      using _wireguard = await openInside(host, () => udpEnd({ echo: true, port: 51_820 }));
      using local = await openInside(host, () => udpEnd());
      for (let index = 0; index < 100; index += 1) local.sendTo(15_000, new Uint8Array([index]));
      await local.count(100);

      expect(await host.run(["grep", "^Uid:", `/proc/${home.pid}/status`])).toBe("Uid:\t65532\t65532\t65532\t65532\n");
      const page = await host.run(["curl", "-sS", "--fail", "http://172.17.0.2:5080/metrics"]);
      expect(page).toContain('ut_udp_in_packets_total{client_cn="client",dir="up"} 100');
      expect(await home.health()).toBe("ok\n");

      for (const { job, pid } of [home, gate]) {
        await runCommand(["kill", "-TERM", String(pid)]);
        await job.line(/"event":"stopped","drained":true/);
        await expect(job.line(/never/)).rejects.toThrow("ended (exit 0)");
      }
    }, 60_000);

    /** Runs the image's entry point, with `etc` on /etc/ut, as process 1 of its own. */
    async function start(
      name: string,
      etc: string,
      more: readonly string[] = [],
      secrets?: string,
    ): Promise<Container> {
      const root = await buildah.rootOf(IMAGE);
      const script = [
        `cd ${root}`,
        "mkdir -p proc dev etc/ut run/secrets",
        "mount -t proc proc proc",
        "mount -t tmpfs tmpfs dev",
        "for device in null random urandom; do touch dev/$device; mount --bind /dev/$device dev/$device; done",
        `mount --bind -o ro ${etc} etc/ut`,
        ...(secrets === undefined ? [] : [`mount --bind -o ro ${secrets} run/secrets`]),
        `exec chroot --userspec=${docker.User} . ${[...docker.Entrypoint, ...more].join(" ")}`,
      ];
      const isolation = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"];
      const job = host.start(name, ["unshare", ...isolation, "sh", "-euc", script.join("\n")]);
      return new Container(job, docker.Healthcheck.Test.slice(1));
    }

    async function certificates(server: string, client: string): Promise<void> {
      const ut = join(await buildah.rootOf(IMAGE), "usr/local/bin/ut");
      const pki = await lab.subfolder("pki");
      await runCommand([ut, "pki", "init", "--dir", pki]);
      await runCommand([ut, "pki", "issue", "--dir", pki, "--cn", "server", "--host", "127.0.0.1"]);
      await runCommand([ut, "pki", "issue", "--dir", pki, "--cn", "client"]);
      for (const [folder, cn] of [
        [server, "server"],
        [client, "client"],
      ] as const) {
        for (const file of ["ca.pem", `${cn}.pem`, `${cn}.key`]) await runCommand(["cp", join(pki, file), folder]);
        await runCommand(["chmod", "-R", "a+rX", folder]);
      }
    }
  });
});

const SERVER = `role: server
server: { stun: { listen: [] } }
metrics: { listen_addr: "127.0.0.1:5081" }
tls: { ca_cert: ca.pem, cert: server.pem, key: server.key }
`;

class Container implements AsyncDisposable {
  readonly job: Job;
  readonly #healthCommand: readonly string[];

  constructor(job: Job, healthCommand: readonly string[]) {
    this.job = job;
    this.#healthCommand = healthCommand;
  }

  /** Of its process 1. */
  get pid(): number {
    return onlyChildOf(this.job.pid);
  }

  /** What the health check prints; rejects when it is not well. */
  async health(): Promise<string> {
    const enter = ["nsenter", "--target", String(this.pid), "--all", "--root", "--wd", "-S", "65532", "-G", "65532"];
    return await runCommand([...enter, "--", ...this.#healthCommand]);
  }

  /** A process that has become another user does not end with its parent, as it would otherwise. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.job.running) process.kill(this.pid, "SIGKILL");
    await this.job.stop();
  }
}

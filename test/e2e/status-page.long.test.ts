import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import type { LaneReport, StatusReport } from "../../src/io/http/status-report.ts";
import { openBrowser, openPage } from "./support/browser.ts";
import { describeWith } from "./support/describe-with.ts";
import { identity } from "./support/identities.ts";
import { peerProcess, serverProcess } from "./support/peers.ts";
import { udpEnd } from "./support/udp-end.ts";
import type { UtProcess } from "./support/ut-process.ts";
import { type WatchedTunnel, watchedNode, watchedTunnel } from "./support/watched-tunnel.ts";

/** A browser starts, draws and repaints; on a busy machine each of that may take its time. */
const PATIENCE_MS = 60_000;

describeWith(["chromium"], "the status page in a browser", () => {
  let tunnel: WatchedTunnel;
  let browser: Browser;

  beforeAll(async () => {
    [tunnel, browser] = await Promise.all([watchedTunnel(), openBrowser()]);
    const flow = tunnel.traffic(1_000);
    while ((await tunnel.client.status()).uptimeSeconds < 5) await Bun.sleep(100);
    flow.stop();
  }, PATIENCE_MS);
  afterAll(async () => {
    await browser?.close();
    await tunnel?.[Symbol.asyncDispose]();
  }, PATIENCE_MS);

  test(
    "at rest its values are those of /api/status, at both ends",
    async () => {
      for (const node of [tunnel.client, tunnel.server]) {
        await using watched = await openPage(browser, node.url);
        const { page } = watched;
        const report = await node.status();
        const [role] = report.roles;
        const lanes = role?.sessions[0]?.lanes ?? [];
        expect(lanes).toHaveLength(5);
        await expectText(page, "#node", role?.cn ?? "");
        await expectText(page, "#ready", "ready");
        for (const lane of lanes)
          expect(await shownLane(page, lane.id)).toEqual(laneValues(lane, role?.role === "server"));
        expect(await column(page, "#certificate-list", "Ends")).toEqual(certificateEnds(report));
        expect(await page.locator("#no-drops").isVisible()).toBe(true);
      }
    },
    PATIENCE_MS,
  );

  test(
    "under traffic they move between those of two answers, and the plots with them; the past is there from the start",
    async () => {
      await using watched = await openPage(browser, tunnel.client.url);
      const { page } = watched;
      const line = page.locator("figure path.line.first").first();
      const past = (await line.getAttribute("d")) ?? "";
      expect(past.match(/[ML]/g)?.length).toBeGreaterThanOrEqual(3);
      const flow = tunnel.traffic(2_000);
      const first = lanesOf(await tunnel.client.status());
      await page.locator("figcaption b").first().filter({ hasText: "Mbit/s" }).waitFor();
      await row(page, 0)
        .locator('td[data-title="Up now"]')
        .filter({ hasText: /[kM]bit\/s/ })
        .waitFor();
      const shown = await Promise.all(first.map(({ id }) => shownLane(page, id)));
      const last = lanesOf(await tunnel.client.status());
      for (const [index, values] of shown.entries()) {
        const [before, after] = [first[index]?.bytesOut ?? 0, last[index]?.bytesOut ?? 0];
        expect(values["Up in all"]).toBeGreaterThanOrEqual(before);
        expect(values["Up in all"]).toBeLessThanOrEqual(after);
      }
      const now = (await line.getAttribute("d")) ?? "";
      expect(now).not.toBe(past);
      while ((await line.getAttribute("d")) === now) await page.waitForTimeout(100);
      flow.stop();
    },
    PATIENCE_MS,
  );

  test(
    "a lane that is killed shows as such, at both ends, and is open again when it is",
    async () => {
      const flow = tunnel.traffic(200);
      await using client = await openPage(browser, tunnel.client.url);
      await using server = await openPage(browser, tunnel.server.url);
      const victim = lanesOf(await tunnel.server.status()).find(({ id }) => id === 2);
      tunnel.gate.isOpen = false;
      tunnel.gate.cut(Number(victim?.remote.split(":").at(-1)));
      const state = (page: Page) => row(page, 2).locator('td[data-title="State"]');
      await state(client.page)
        .filter({ hasText: /down, dials in .*ended .* ago: \w+/ })
        .waitFor();
      await state(server.page)
        .filter({ hasText: /downended .* ago: the other end closed it/ })
        .waitFor();
      expect(await state(client.page).getAttribute("data-tone")).toBe("bad");
      await expectText(client.page, "#session-list .count", "4 of 5 lanes open");
      tunnel.gate.isOpen = true;
      for (const { page } of [client, server])
        await state(page)
          .filter({ hasText: /^openfor .*; before that ended/ })
          .waitFor();
      flow.stop();
    },
    PATIENCE_MS,
  );

  test(
    "a pipe is shown with its path, who won it, and whose certificates it took; at the server both peers are",
    async () => {
      using echo = await udpEnd({ echo: true });
      await using server = await serverProcess();
      const services = { udp: [{ name: "echo", target: `127.0.0.1:${echo.port}`, allow: ["home"] }] };
      await using agent = await peerProcess(await identity({ cn: "office" }), server, { role: "agent", services });
      const relay = [{ listen_addr: "127.0.0.1:0", to: "office", service: "echo" }];
      await using home = await peerProcess(await identity({ cn: "home" }), server, { role: "relay", relay });
      await Promise.all([agent.ut.logged("pipe_direct"), home.ut.logged("pipe_direct")]);
      await using watched = await openPage(browser, await urlOf(home.ut));
      const { page } = watched;
      const { direct } = (await home.status()).traversal.pipes[0] ?? {};
      await expectText(page, "#pipe-list tbody th", "officeecho");
      const path = page.locator('#pipe-list td[data-title="Path"]');
      await path.filter({ hasText: `direct${direct?.remote}` }).waitFor();
      await expectText(page, '#pipe-list td[data-title="Why"]', "ICE won");
      await expectText(page, "#network", "Verdict");
      expect((await page.locator("#certificate-list tbody th data").allTextContents()).sort()).toEqual([
        "CA",
        "home",
        "office",
        "server",
      ]);
      await using atServer = await openPage(browser, await urlOf(server.ut));
      expect((await atServer.page.locator("#member-list tbody th").allTextContents()).sort()).toEqual([
        "home",
        "officecan be called",
      ]);
      expect(await atServer.page.locator("#peers").isVisible()).toBe(false);
      expect([...watched.complaints, ...atServer.complaints]).toEqual([]);
    },
    PATIENCE_MS,
  );

  test(
    "it asks for nothing but its events, and nobody complains: no console, no exception, no violation of its policy",
    async () => {
      await using watched = await openPage(browser, tunnel.client.url);
      await watched.page.locator("figure summary").first().click();
      await watched.page.locator("figure table tbody tr").first().waitFor();
      expect(watched.requests).toEqual([`${tunnel.client.url}/`, `${tunnel.client.url}/api/events`]);
      expect(watched.complaints).toEqual([]);
    },
    PATIENCE_MS,
  );

  test(
    "on a phone nothing is wider than the screen",
    async () => {
      for (const width of [320, 360, 768])
        for (const { url } of [tunnel.client, tunnel.server]) {
          await using watched = await openPage(browser, url, { viewport: { width, height: 740 } });
          expect(await watched.page.evaluate("document.documentElement.scrollWidth")).toBe(width);
        }
    },
    PATIENCE_MS,
  );

  test(
    "it is light or dark as the reader has it, and no moving picture for who wants none",
    async () => {
      const look = async (colorScheme: "light" | "dark", reducedMotion: "reduce" | "no-preference") => {
        await using watched = await openPage(browser, tunnel.server.url, { colorScheme, reducedMotion });
        return (await watched.page.evaluate(
          `[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector(".bar i")).transitionDuration]`,
        )) as string[];
      };
      expect(await look("light", "no-preference")).toEqual(["rgb(244, 246, 248)", "0.4s"]);
      expect(await look("dark", "reduce")).toEqual(["rgb(14, 18, 22)", "0s"]);
    },
    PATIENCE_MS,
  );

  test(
    "the keyboard reaches all that can be used, and one sees where it is",
    async () => {
      await using watched = await openPage(browser, tunnel.client.url);
      const { page } = watched;
      const reached: string[] = [];
      const focused = `(() => {
        const one = document.activeElement;
        return [one.textContent.trim().replace(/\\s+/g, " "), getComputedStyle(one).outlineStyle];
      })()`;
      for (let stop = 0; stop < 6; stop++) {
        await page.keyboard.press("Tab");
        const [text = "", outline] = (await page.evaluate(focused)) as string[];
        expect([text, outline]).toEqual([text, "solid"]);
        reached.push(text);
      }
      expect(reached).toEqual([
        "Skip to what the node says",
        "As a table",
        "As a table",
        expect.stringMatching(/^home\d of 5 lanes open$/),
        "/api/status",
        "/readyz",
      ]);
      const session = page.locator("#session-list > details");
      await session.locator("summary").focus();
      await page.keyboard.press("Enter");
      expect(await session.getAttribute("open")).toBe(null);
    },
    PATIENCE_MS,
  );

  test(
    "axe finds nothing that keeps anybody out: light, dark, on a phone, with all tables open",
    async () => {
      const axe = await Bun.file(Bun.resolveSync("axe-core/axe.min.js", import.meta.dir)).text();
      for (const options of [
        { colorScheme: "light" },
        { colorScheme: "dark" },
        { colorScheme: "light", viewport: { width: 360, height: 740 } },
      ] as const) {
        await using watched = await openPage(browser, tunnel.server.url, { ...options, bypassCSP: true });
        const { page } = watched;
        for (const summary of await page.locator("figure summary").all()) await summary.click();
        await page.evaluate(axe);
        const found = (await page.evaluate("axe.run()")) as {
          violations: { id: string; nodes: { html: string }[] }[];
          passes: unknown[];
        };
        expect(found.violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
        expect(found.passes.length).toBeGreaterThan(20);
      }
    },
    PATIENCE_MS,
  );

  test(
    "a node that is gone is said to be; when another one answers there, it is shown; who looks away asks nothing",
    async () => {
      const settings = { role: "client", tcp: { server_addr: "127.0.0.1:9" }, udp: { listen_addr: "127.0.0.1:0" } };
      const first = await watchedNode(await identity({ cn: "first" }), settings);
      await using watched = await openPage(browser, first.url);
      const { page } = watched;
      await first[Symbol.asyncDispose]();
      await page
        .locator("#link")
        .filter({ hasText: /has not answered since \d\d:\d\d:\d\d/ })
        .waitFor();
      await expectText(page, "#node", "first");
      const metrics = { listen_addr: first.url.slice("http://".length) };
      await using _ = await watchedNode(await identity({ cn: "second" }), { ...settings, metrics });
      await page.locator("#node").filter({ hasText: "second" }).waitFor();
      await expectText(page, "#link", "Live, each second");
      await page.evaluate(`Object.defineProperty(document, "hidden", { get: () => true, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"))`);
      await expectText(page, "#link", "Paused while nobody looks");
    },
    PATIENCE_MS,
  );
});

async function urlOf(ut: UtProcess): Promise<string> {
  const { metrics } = await ut.logged("start");
  return `http://127.0.0.1:${(metrics as { readonly port: number }).port}`;
}

function lanesOf(report: StatusReport): readonly LaneReport[] {
  return report.roles[0]?.sessions[0]?.lanes ?? [];
}

function row(page: Page, lane: number) {
  return page.locator("#session-list tbody tr", { has: page.locator(`th data[value="${lane}"]`) });
}

type LaneValues = Record<"Up in all" | "Down in all" | "Round trip" | "Unsent" | "Sent again", number> & {
  Connection: string;
};

async function shownLane(page: Page, id: number): Promise<LaneValues> {
  const cells = await row(page, id).locator("td").all();
  const values = await Promise.all(
    cells.map(async (cell) => {
      const title = (await cell.getAttribute("data-title")) ?? "";
      const value = (await cell.locator("data").getAttribute("value")) ?? "";
      return [title, title === "Connection" ? value : Number(value)] as const;
    }),
  );
  const { "Up now": _, "Down now": __, State: ___, ...rest } = Object.fromEntries(values);
  return rest as LaneValues;
}

function laneValues(lane: LaneReport, isServer: boolean): LaneValues {
  const [up, down] = isServer ? [lane.bytesIn, lane.bytesOut] : [lane.bytesOut, lane.bytesIn];
  return {
    "Up in all": up,
    "Down in all": down,
    "Round trip": lane.tcp?.rttMs ?? Number.NaN,
    Unsent: lane.tcp?.unsentBytes ?? Number.NaN,
    "Sent again": lane.tcp?.retransmits ?? Number.NaN,
    Connection: lane.remote,
  };
}

function certificateEnds({ certificates: { own, authority, peers } }: StatusReport): string[] {
  const days = [own, authority, ...peers].map(({ notAfter }) => notAfter.slice(0, 10));
  return days.sort();
}

async function column(page: Page, list: string, title: string): Promise<string[]> {
  return page.locator(`${list} td[data-title="${title}"] data`).allTextContents();
}

async function expectText(page: Page, selector: string, text: string): Promise<void> {
  await page.locator(selector).filter({ hasText: text }).waitFor();
}

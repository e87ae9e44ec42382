import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

/** Debian's Chromium, without a window. `args`: more of its own options. */
export async function openBrowser(args: readonly string[] = []): Promise<Browser & AsyncDisposable> {
  const executablePath = Bun.which("chromium") ?? "chromium";
  // As root it runs only without its sandbox; it sees nothing but pages of this test.
  return chromium.launch({ executablePath, args: ["--no-sandbox", ...args] });
}

/** A page, and everything that it should not do. */
export interface WatchedPage extends AsyncDisposable {
  readonly page: Page;
  /** What it asked for, in order. */
  readonly requests: readonly string[];
  /** Messages on its console, exceptions, violations of its policy. */
  readonly complaints: readonly string[];
}

export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const requests: string[] = [];
  const complaints: string[] = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => complaints.push(`${error}`));
  await page.addInitScript(
    `addEventListener("securitypolicyviolation", (event) => console.error("policy", event.violatedDirective));`,
  );
  await page.goto(url);
  await page.locator("main").waitFor({ state: "visible" });
  return { page, requests, complaints, [Symbol.asyncDispose]: () => context.close() };
}

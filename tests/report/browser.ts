/**
 * The page of `vmexit report` in a real browser: `./dev test:report`. It needs
 * Chromium, of Debian's package of that name or named by `CHROMIUM`; what it
 * shows comes from guests on real KVM.
 *
 * @module
 */

import { assert, assertEquals, assertGreater, assertLess, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import { type Browser, chromium, type Page } from "playwright-core";
import { kvmTest } from "../lib/kvm.ts";
import { image, TempDir, vmexit } from "../lib/vmexit.ts";

const CHROMIUM = [Deno.env.get("CHROMIUM"), "/usr/bin/chromium", "/usr/bin/google-chrome"]
  .find((path) => path !== undefined && existsSync(path));
const WIDE = { width: 1440, height: 1000 };
/** How long anything may take that a person waits for, on a slow machine too. */
const PATIENCE_MS = 2500;
const LOAD_MS = 15_000;

/** A page with a report in it. */
interface Opened {
  readonly page: Page;
  /** What went wrong in it. */
  readonly problems: string[];
  /** What it asked the network for. */
  readonly requests: string[];
  readonly html: string;
}

interface Look {
  readonly viewport?: { width: number; height: number };
  readonly colorScheme?: "light" | "dark";
}

/** Runs a guest, makes its report, and hands the page to a test. */
function pageTest(
  name: string,
  guest: readonly string[],
  test: (opened: Opened) => Promise<void>,
  look: Look = {},
): void {
  if (!CHROMIUM) return Deno.test.ignore(`${name} (needs chromium)`, () => {});
  kvmTest(name, async () => {
    using dir = new TempDir();
    const [trace, html] = [`${dir.path}/t.jsonl`, `${dir.path}/report.html`];
    await vmexit("run", "--format", "json", "--trace-file", trace, ...guest);
    const { code, stderr } = await vmexit("report", trace, "-o", html);
    assertEquals(code, 0, stderr);
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
    try {
      await test(await open(browser, html, look));
    } finally {
      await browser.close();
    }
  });
}

async function open(browser: Browser, html: string, look: Look): Promise<Opened> {
  const context = await browser.newContext({ viewport: WIDE, ...look, offline: true });
  const page = await context.newPage();
  const problems: string[] = [];
  const requests: string[] = [];
  page.on("pageerror", ({ message }) => problems.push(message));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("request", (request) => requests.push(request.url()));
  await page.goto(`file://${html}`);
  await page.waitForSelector(":root[data-state=ready]", { timeout: LOAD_MS });
  return { page, problems, requests, html };
}

/** How many exits the page says that it shows. */
async function shown(page: Page): Promise<number> {
  // What was asked for is drawn with the next frame.
  await page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))");
  const text = await page.textContent("#shown");
  return Number(/^[\d\u2009]+/.exec(text!)![0].replaceAll("\u2009", ""));
}

async function waitForShown(page: Page, count: number): Promise<void> {
  const text = String(count).replace(/\B(?=(\d{3})+$)/g, "\u2009");
  await page.locator("#shown", { hasText: new RegExp(`^${text} of`) })
    .waitFor({ timeout: PATIENCE_MS });
}

/** The rectangle of the first chart within its axes. */
async function plot(page: Page): Promise<{ x: number; y: number; width: number }> {
  return (await page.locator("#timeline .u-over").first().boundingBox())!;
}

async function drag(page: Page, from: number, to: number): Promise<void> {
  const { x, y, width } = await plot(page);
  await page.mouse.move(x + width * from, y + 40);
  await page.mouse.down();
  await page.mouse.move(x + width * to, y + 44, { steps: 5 });
  await page.mouse.up();
}

/** How many pixels of a chart are not like its first: nothing was drawn where there are none. */
function inkOf(page: Page, chart: string): Promise<number> {
  return page.evaluate(`{
    const canvas = document.querySelector("${chart} canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const pixels = new Uint32Array(data.buffer);
    pixels.reduce((ink, pixel) => ink + (pixel !== pixels[0] ? 1 : 0), 0);
  }`);
}

const GUEST = ["--hole", "0x300000+0x1000:lazy", image("mmio.bin64")];
/** As images/README.md says. */
const EXITS = 48;

pageTest("the page is drawn, and asks for nothing but itself", GUEST, async (opened) => {
  const { page, problems, requests, html } = opened;
  assertEquals(problems, []);
  assertEquals(requests, [`file://${html}`]);
  assertEquals(await shown(page), EXITS);
  assertGreater(await inkOf(page, "#timeline"), 500);
  assertGreater(await inkOf(page, "#durations"), 500);
  assertEquals(await page.locator("#by-reason button").count(), 3);
  assertStringIncludes(await page.innerText("#memory"), "hole: lazy");
  assertStringIncludes(await page.innerText("#memory"), "8 MMIO");
  assertStringIncludes(await page.innerText("#console"), "mmio ff ffff ffffffff");
  assertStringIncludes(await page.innerText("#outcome"), "guest halted (HLT)");
});

const FAULT = ["--hole", "0x300000+0x1000:truncated", image("fault/read-user.bin64")];

pageTest("a fault is shown from its fields, with its page walk and the registers", FAULT, async ({
  page,
  problems,
}) => {
  assertEquals(problems, []);
  assertStringIncludes(
    await page.innerText("#outcome"),
    "memory fault: read of 4 bytes at GPA 0x300008: past the end of its file; exit code 20",
  );
  const facts = (await page.innerText("#fault dl")).split("\n");
  for (const [name, value] of [["GPA", "0x300008"], ["instruction", "mov eax, [rdi+8]"]]) {
    assertEquals(facts[facts.indexOf(name!) + 1], value);
  }
  assertEquals(
    await page.locator("#fault tr.bad").innerText(),
    [
      "bad\toperand\tread 4\t0x300008\t0x300008\tpast the end of its file",
    ].join(),
  );
  assertGreater(await page.locator("#fault tr.bad + tr.walk").count(), 0);
  assertStringIncludes(await page.innerText("#fault"), "rdi\t0000000000300000");
});

pageTest("a short trace has no empty panels, and no label is cut", FAULT, async ({ page }) => {
  for (const empty of ["#console", "#by-port", "#by-page", "#durations canvas"]) {
    assertEquals(await page.locator(empty).isVisible(), false, empty);
  }
  assertLess((await page.locator("#table").boundingBox())!.height, 60);
  // Right of the plot there is room for half of a label.
  const { x, width } = await plot(page);
  const canvas = (await page.locator("#timeline canvas").first().boundingBox())!;
  assertGreater(canvas.x + canvas.width - (x + width), 35);
});

pageTest("short output stands above the charts", [image("hello.elf")], async ({ page }) => {
  const output = (await page.locator("#console").boundingBox())!;
  assertStringIncludes(await page.innerText("#console"), "Hello, KVM!");
  assertLess(output.height, 40);
  assertLess(output.y, (await page.locator("#timeline").boundingBox())!.y);
});

pageTest("what the page holds cannot reach the network", GUEST, async ({ page }) => {
  const fetched = await page.evaluate(`fetch("https://example.org/").then(() => "sent", String)`);
  assertStringIncludes(String(fetched), "TypeError");
  const script = `{
    const script = document.createElement("script");
    script.textContent = "document.title = 'run'";
    document.body.append(script);
    document.title;
  }`;
  assertEquals(await page.evaluate(script), "mmio.bin64: vmexit report");
});

pageTest("the timeline zooms by mouse, wheel, buttons and keys", GUEST, async ({ page }) => {
  await drag(page, 0, 0.7);
  const some = await shown(page);
  assert(some > 0 && some < EXITS, `${some} shown`);
  const { x, y, width } = await plot(page);
  await page.mouse.dblclick(x + width / 2, y + 30);
  await waitForShown(page, EXITS);
  for (
    const zoom of [
      () => page.click("#in"),
      () => page.locator("#timeline").press("+"),
      async () => {
        await page.mouse.move(x + width - 5, y + 30);
        await page.keyboard.down("Control");
        await page.mouse.wheel(0, -100);
        await page.keyboard.up("Control");
      },
    ]
  ) {
    await zoom();
    await page.locator("#shown", { hasText: " to " }).waitFor({ timeout: PATIENCE_MS });
    assertLess(await shown(page), EXITS);
    await page.click("#whole");
    await waitForShown(page, EXITS);
  }
});

pageTest("a filter selects in table and charts", GUEST, async ({ page }) => {
  await page.fill("#filter", "mmio read");
  await waitForShown(page, 4);
  const rows = page.locator("#table .row:visible");
  assertEquals(await rows.count(), 4);
  for (const text of await rows.allInnerTexts()) assertStringIncludes(text, "0xd000000");
  assertEquals(await page.locator("#by-reason button").count(), 1);
  await page.fill("#filter", "port=seven");
  await page.waitForSelector("#problem:not(:empty)");
  assertStringIncludes(await page.innerText("#problem"), '"seven" is not a number');
  await page.click("#clear");
  await waitForShown(page, EXITS);
  await page.click("#by-reason button:has-text('HLT')");
  await waitForShown(page, 1);
  assertEquals(await page.inputValue("#filter"), "reason=HLT");
  await page.click("#by-reason button:has-text('HLT')");
  await waitForShown(page, EXITS);
});

pageTest("table, console and timeline are in step", GUEST, async ({ page }) => {
  await page.locator("#table").press("Home");
  await page.waitForSelector("#table .row.active");
  assert(await page.locator("#timeline .head").isVisible());
  assertStringIncludes(await page.locator("#console .later").first().innerText(), "mmio ff");
  await page.locator("#table").press("End");
  await page.locator("#console .row .later:empty").first().waitFor({ state: "attached" });
  await page.locator("#console .row").first().click();
  await page.waitForSelector("#table .row.active:has-text('6d')"); // the m of mmio
});

pageTest(
  "a narrow dark screen shows the page without scrolling sideways",
  GUEST,
  async ({ page }) => {
    const excess = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
    assertEquals(excess, 0);
    const background = await page.evaluate("getComputedStyle(document.body).backgroundColor");
    assertEquals(background, "rgb(18, 21, 26)");
  },
  { viewport: { width: 390, height: 800 }, colorScheme: "dark" },
);

/** The guest of images/storm.bin64, ten times as long. */
function longStorm(dir: TempDir): string {
  const code = Deno.readFileSync(image("storm.bin64"));
  new DataView(code.buffer).setUint32(1, 1_000_000, true); // mov ecx, imm32
  return dir.file("storm.bin64", code);
}

const storms = new TempDir();
addEventListener("unload", () => storms[Symbol.dispose]());

pageTest(
  "a million exits load, and answer soon",
  [longStorm(storms)],
  async ({ page, problems }) => {
    assertEquals(await shown(page), 1_000_001);
    const timed = async (what: string, act: () => Promise<unknown>): Promise<void> => {
      const start = performance.now();
      await act();
      const took = performance.now() - start;
      assertLess(took, PATIENCE_MS, `${what} took ${took.toFixed()} ms`);
    };
    await timed("zooming in", async () => {
      await page.click("#in");
      assertLess(await shown(page), 1_000_000);
    });
    await timed("zooming out", async () => {
      await page.click("#whole");
      await waitForShown(page, 1_000_001);
    });
    await timed("filtering", async () => {
      await page.fill("#filter", "-HLT");
      await waitForShown(page, 1_000_000);
    });
    await timed("going to the end", async () => {
      await page.locator("#table").press("End");
      await page.waitForSelector("#table .row.active:has-text('1\u2009000\u2009000')");
    });
    assertEquals(problems, []);
  },
);

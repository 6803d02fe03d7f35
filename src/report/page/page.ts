/// <reference lib="dom" />
/**
 * The page's script: draws the overview at once, unpacks the rows, then redraws for the selected
 * time and filter.
 *
 * @module
 */

import { hex } from "../../hex.ts";
import { PAGE_BYTES } from "../../pages.ts";
import {
  aggregate,
  type Aggregates,
  firstRowAt,
  type Histogram,
  nearestRow,
  prepare,
  type Prepared,
  type Selection,
  type TimeRange,
} from "../aggregate.ts";
import { inflate, type Overview, parse, type TraceSummary, unpackTrace } from "../embed.ts";
import { BarChart, type BarOptions } from "./bars.ts";
import { reasonColor } from "./colors.ts";
import { ConsoleView } from "./console_view.ts";
import { byId, element, onceAFrame } from "./dom.ts";
import { DurationChart } from "./durations.ts";
import { faultHeadline, showFault } from "./fault_view.ts";
import { ExitTable } from "./exit_table.ts";
import { FilterError, parseFilter, type RowTest, selectRows } from "./filter.ts";
import { bytesText, countText, durationText, portText } from "./format.ts";
import { MemoryMap } from "./memory_map.ts";
import { Timeline } from "./timeline.ts";

/** The narrowest selection, in tenths of a microsecond. */
const LEAST_RANGE = 20;
const TYPING_MS = 150;
/** Fewer exits have no rate. */
const FEW_EXITS = 10;
/** Fewer lines of output stand above the charts, not beside them. */
const FEW_LINES = 12;
/** Fewer durations are only listed. */
const FEW_DURATIONS = 3;
/** Pixels, as in the style sheet. */
const CONSOLE_LINE = 18;

/** What is ready once the rows are unpacked. */
interface Loaded {
  readonly prepared: Prepared;
  readonly table: ExitTable;
  readonly console: ConsoleView;
}

class Page {
  readonly #summary: TraceSummary;
  readonly #filter = byId<HTMLInputElement>("filter");
  readonly #timeline: Timeline;
  readonly #bars: readonly (readonly [BarChart, (data: Aggregates) => Histogram])[];
  readonly #durations = new DurationChart(byId("durations"), byId("quantiles"));
  readonly #memory: MemoryMap;
  readonly #whole: TimeRange;
  readonly #update = onceAFrame(() => this.#show());
  #range: TimeRange;
  #tests: readonly RowTest[] = [];
  #selection: Selection = new Uint32Array();
  #loaded: Loaded | undefined;
  /** The row that the user chose: where table, console and timeline are unless the pointer hovers. */
  #chosen: number | undefined;

  constructor(summary: TraceSummary) {
    this.#summary = summary;
    const { overview } = summary;
    this.#whole = overview.range;
    this.#range = overview.range;
    this.#timeline = new Timeline(byId("timeline"), overview, {
      reasons: summary.reasons,
      zoom: (range) => this.#zoom(range),
      hover: (time) => this.#hover(time),
      pick: (time) => this.#pick(time),
    });
    const toggle = (word: string): void => this.#toggle(word);
    this.#bars = this.#histograms(overview, toggle);
    this.#memory = new MemoryMap(
      byId("memory"),
      summary.regions,
      summary.begin?.loaded ?? [],
      toggle,
    );
    this.#head();
    this.#layOut();
    this.#listen();
    this.#draw(overview);
  }

  /** The rows are there. */
  load(prepared: Prepared, output: ConstructorParameters<typeof ConsoleView>[1]): void {
    const choose = (row: number): void => this.#choose(row);
    this.#loaded = {
      prepared,
      table: new ExitTable(
        byId("table"),
        byId("heads"),
        prepared,
        (row) => this.#choose(row, true),
      ),
      console: new ConsoleView(byId("console"), output, choose),
    };
    this.#filter.disabled = false;
    this.#show();
    document.documentElement.dataset.state = "ready";
  }

  #head(): void {
    const { begin, outcome, overview, source, version, warnings, remarks, rows } = this.#summary;
    const image = begin?.image ?? source;
    document.title = `${image.split("/").at(-1)}: vmexit report`;
    byId("title").textContent = image.split("/").at(-1)!;
    byId("facts").textContent = [
      image,
      ...(begin
        ? [
          `booted by ${begin.boot}`,
          `machine ${begin.machine}`,
          `${begin.cpus} vCPU${begin.cpus === 1 ? "" : "s"}`,
          `${bytesText(BigInt(begin.memory))} of RAM`,
          `traced by vmexit ${begin.version}`,
        ]
        : [`shown by vmexit ${version}`]),
    ].join(" · ");
    const ending = byId("outcome");
    const fault = outcome?.kind === "memory_fault" ? outcome : undefined;
    if (fault) showFault(byId("fault"), fault);
    ending.textContent = outcome
      ? `${fault ? faultHeadline(fault) : outcome.message}; exit code ${outcome.exit_code}`
      : "the trace does not say how the run ended";
    const isGood = outcome && (outcome.exit_code === 0 || outcome.exit_code % 2 === 1);
    ending.className = outcome ? isGood ? "good" : "bad" : "open";
    const faults = overview.byReason.bars
      .filter(({ key }) => this.#summary.reasons[key as number]!.name === "MEMORY_FAULT")
      .reduce((sum, { count }) => sum + count, 0);
    const span = outcome ? outcome.t_us * 10 : this.#whole.to;
    const rate = Math.round((outcome?.exits ?? rows) / (span / 1e7 || 1));
    const tiles: [string, string][] = [
      ["exits traced", countText(rows)],
      ...(outcome && outcome.exits !== rows
        ? [["exits in all", countText(outcome.exits)] as [string, string]]
        : []),
      ["duration", durationText(span)],
      ...(rows < FEW_EXITS ? [] : [["exits a second", countText(rate)] as [string, string]]),
      ...(outcome?.guest_us === undefined
        ? []
        : [["in the guest", `${(outcome.guest_us / outcome.t_us * 100).toFixed(1)} %`] as [
          string,
          string,
        ]]),
      ["memory faults", countText(faults)],
    ];
    byId("tiles").replaceChildren(
      ...tiles.map(([name, value]) =>
        element("div", {}, element("dt", { text: name }), element("dd", { text: value }))
      ),
    );
    const notes = [...remarks, ...warnings];
    byId("notes").hidden = notes.length === 0;
    byId("notes-head").textContent = notes.length === 1 ? "1 remark" : `${notes.length} remarks`;
    byId("notes-list").replaceChildren(...notes.map((text) => element("li", { text })));
    if (notes.length <= 3) byId<HTMLDetailsElement>("notes").open = true;
    byId("legend").replaceChildren(
      ...overview.byReason.bars.map(({ key }) => {
        const { name } = this.#summary.reasons[key as number]!;
        const swatch = element("i");
        swatch.style.background = `var(${reasonColor(name, key as number)})`;
        return element("span", {}, swatch, name);
      }),
    );
  }

  /** Hides panels that would be empty, and puts short output where it takes little room. */
  #layOut(): void {
    const { overview, consoleLines, rows } = this.#summary;
    const hide = (id: string, isEmpty: boolean): void => {
      byId(id).closest("section")!.hidden = isEmpty;
    };
    hide("console", consoleLines === 0);
    const isShort = consoleLines < FEW_LINES;
    document.querySelector("main")!.classList.toggle("single", isShort);
    if (isShort) byId("console").style.height = `${consoleLines * CONSOLE_LINE + 4}px`;
    hide("timeline", rows === 0);
    hide("table", rows === 0);
    hide("by-reason", rows === 0);
    hide("by-port", overview.byPort.bars.length === 0);
    hide("by-page", overview.byPage.bars.length === 0);
    hide("by-rip", overview.byRip.bars.length === 0);
    const { between, inGuest, inVmm } = overview;
    const most = Math.max(between.count, inGuest.count, inVmm.count);
    hide("durations", most === 0);
    byId("durations").hidden = most < FEW_DURATIONS;
  }

  #histograms(
    { addresses, rips }: Overview,
    toggle: (word: string) => void,
  ): [BarChart, (data: Aggregates) => Histogram][] {
    const { reasons } = this.#summary;
    // Until the rows are unpacked, the overview has the values that it names.
    const address = (key: number | string): bigint =>
      this.#loaded?.prepared.rows.tables.addresses[key as number] ?? addresses[key as number]!;
    const rip = (key: number | string): bigint =>
      this.#loaded?.prepared.rows.tables.rips[key as number] ?? rips[key as number]!;
    const make = (id: string, options: Omit<BarOptions, "toggle">): BarChart =>
      new BarChart(byId(id), { ...options, toggle });
    const pageFilter = (key: number | string): string => {
      const page = BigInt(`0x${key}`);
      return `gpa=${hex(page)}..${hex(page + BigInt(PAGE_BYTES - 1))}`;
    };
    return [
      [
        make("by-reason", {
          label: ({ key }) => reasons[key as number]!.name,
          filter: ({ key }) => `reason=${reasons[key as number]!.name}`,
          color: ({ key }) => reasonColor(reasons[key as number]!.name, key as number),
        }),
        (data) => data.byReason,
      ],
      [
        make("by-port", {
          label: ({ key }) => portText(address(key)),
          filter: ({ key }) => `port=${hex(address(key))}`,
          color: () => "--blue",
        }),
        (data) => data.byPort,
      ],
      [
        make("by-page", {
          label: ({ key }) => `0x${key}`,
          filter: ({ key }) => pageFilter(key),
          color: () => "--violet",
        }),
        (data) => data.byPage,
      ],
      [
        make("by-rip", {
          label: ({ key }) => hex(rip(key)),
          filter: ({ key }) => `rip=${hex(rip(key))}`,
          color: () => "--teal",
        }),
        (data) => data.byRip,
      ],
    ];
  }

  #listen(): void {
    let typing: ReturnType<typeof setTimeout> | undefined;
    this.#filter.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.#read(), TYPING_MS);
    });
    const on = (id: string, action: () => void): void => byId(id).addEventListener("click", action);
    on("clear", () => this.#setFilter(""));
    on("whole", () => this.#zoom(this.#whole));
    on("in", () => this.#timeline.zoomBy(0.5));
    on("out", () => this.#timeline.zoomBy(2));
    on("left", () => this.#timeline.moveBy(-0.25));
    on("right", () => this.#timeline.moveBy(0.25));
    addEventListener("keydown", (event) => {
      if (event.key === "/" && event.target !== this.#filter) {
        event.preventDefault();
        this.#filter.focus();
      } else if (event.key === "Escape" && event.target === this.#filter) this.#setFilter("");
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#timeline.recolor();
      this.#durations.recolor();
    });
    let width = byId("timeline").clientWidth;
    new ResizeObserver(([entry]) => {
      if (Math.abs(entry!.contentRect.width - width) < 1) return;
      width = entry!.contentRect.width;
      this.#update();
    }).observe(byId("timeline"));
  }

  /** The words of the filter. */
  #words(): string[] {
    return this.#filter.value.split(/\s+/).filter((word) => word !== "");
  }

  /** Puts a word into the filter, or takes it out where it is. */
  #toggle(word: string): void {
    const words = this.#words();
    const without = words.filter((each) => each !== word);
    this.#setFilter((without.length < words.length ? without : [...words, word]).join(" "));
  }

  #setFilter(text: string): void {
    this.#filter.value = text;
    this.#read();
  }

  #read(): void {
    if (!this.#loaded) return;
    const problem = byId("problem");
    try {
      this.#tests = parseFilter(this.#filter.value, this.#loaded.prepared);
      problem.textContent = "";
      this.#filter.removeAttribute("aria-invalid");
      this.#update();
    } catch (error) {
      if (!(error instanceof FilterError)) throw error;
      problem.textContent = error.message;
      this.#filter.setAttribute("aria-invalid", "true");
    }
  }

  #zoom({ from, to }: TimeRange): void {
    const whole = this.#whole;
    const most = whole.to - whole.from;
    if (!(to - from < most)) {
      this.#range = whole;
    } else {
      const width = Math.min(most, Math.max(Math.min(LEAST_RANGE, most), to - from));
      const middle = (from + to) / 2;
      const start = Math.min(whole.to - width, Math.max(whole.from, middle - width / 2));
      this.#range = { from: start, to: start + width };
    }
    this.#update();
  }

  #show(): void {
    if (!this.#loaded) return;
    const { prepared, table } = this.#loaded;
    const selection = this.#selection = selectRows(prepared, this.#range, this.#tests);
    this.#draw(aggregate(prepared, selection, this.#range, this.#timeline.bins));
    table.draw(selection);
    if (this.#chosen !== undefined) table.show(this.#chosen);
  }

  #draw(data: Aggregates): void {
    const active = new Set(this.#words());
    this.#timeline.draw(data);
    for (const [chart, histogram] of this.#bars) chart.draw(histogram(data), active);
    this.#durations.draw(data);
    this.#memory.draw(data, active);
    const { from, to } = this.#range;
    const isWhole = from === this.#whole.from && to === this.#whole.to;
    byId("shown").textContent =
      `${countText(data.exits)} of ${countText(this.#summary.rows)} exits` +
      (isWhole ? "" : `, ${durationText(from, 5)} to ${durationText(to, 5)}`);
    byId<HTMLButtonElement>("whole").disabled = isWhole;
    byId<HTMLButtonElement>("clear").disabled = active.size === 0;
  }

  #hover(time: number | undefined): void {
    if (!this.#loaded) return;
    const { rows } = this.#loaded.prepared;
    if (time === undefined) this.#settle();
    else this.#loaded.console.show(firstRowAt(rows, time) - 1);
  }

  #pick(time: number): void {
    if (!this.#loaded) return;
    const row = nearestRow(this.#loaded.prepared.rows, this.#selection, time);
    if (row !== undefined) this.#choose(row);
  }

  /** Goes to an exit everywhere. */
  #choose(row: number, fromTable = false): void {
    this.#chosen = row;
    const { prepared, table } = this.#loaded!;
    const time = prepared.rows.time[row]!;
    if (time < this.#range.from || time >= this.#range.to) {
      const width = this.#range.to - this.#range.from;
      this.#zoom({ from: time - width / 2, to: time + width / 2 });
    } else if (!fromTable) {
      table.show(row);
    }
    this.#settle();
  }

  /** Table, console and timeline are at the exit that was chosen. */
  #settle(): void {
    const { prepared, console } = this.#loaded!;
    console.show(this.#chosen);
    this.#timeline.mark(
      this.#chosen === undefined ? undefined : prepared.rows.time[this.#chosen],
    );
  }
}

/** Lets the browser draw and answer before what takes long. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

async function start(): Promise<void> {
  const summary = parse<TraceSummary>(byId("summary").textContent!);
  const page = new Page(summary);
  await pause();
  const bytes = await inflate(byId("rows").textContent!);
  byId("rows").remove();
  await pause();
  const { rows, console } = unpackTrace(summary, bytes);
  await pause();
  const prepared = prepare(rows, summary.regions);
  await pause();
  page.load(prepared, console);
}

start().catch((error) => {
  byId("shown").textContent = `This page cannot be shown: ${error}`;
  throw error;
});

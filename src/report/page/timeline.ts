/// <reference lib="dom" />
/**
 * The timeline: exits over time by reason, a band for each vCPU.
 *
 * @module
 */

import uPlot from "uplot";
import type { Aggregates, TimeRange } from "../aggregate.ts";
import type { Reason } from "../rows.ts";
import { reasonColor } from "./colors.ts";
import { element, style } from "./dom.ts";
import { countText, durationText, tickText } from "./format.ts";

/** The reasons it shows, and what it reports back. */
export interface TimelineOptions {
  readonly reasons: readonly Reason[];
  /** The user zoomed to this range. */
  zoom(range: TimeRange): void;
  /** The pointer is at a time; `undefined` when it is nowhere. */
  hover(time: number | undefined): void;
  /** The user clicked at a time. */
  pick(time: number): void;
}

/** The least height of a bar, so that rare exits show. Pixels. */
const LEAST_HEIGHT = 3;
const BIN_PIXELS = 4;
const LEAST_DRAG = 4;
/** With more vCPUs than this, each has a lower chart. */
const FEW_CPUS = 2;
/** The part that one turn of the wheel or one key takes away on both sides, and one key moves. */
const ZOOM_STEP = 0.25;

/** The charts of all vCPUs over one another. */
export class Timeline {
  readonly #view: HTMLElement;
  readonly #tip = element("div", { class: "tip", hidden: true });
  readonly #heads: HTMLElement[] = [];
  readonly #order: number[];
  #charts: uPlot[] = [];
  #data: Aggregates;
  #colors: string[] = [];
  /** By vCPU and bin, and the most of all: vCPUs share one scale. */
  #totals: number[][] = [];
  #most = 1;
  #head: number | undefined;

  /** @param first what to draw at once */
  constructor(view: HTMLElement, first: Aggregates, readonly options: TimelineOptions) {
    this.#view = view;
    this.#data = first;
    // Rare reasons lie on top, in the same order in every view.
    const total = (reason: number): number =>
      first.byReason.bars.find(({ key }) => key === reason)?.count ?? 0;
    this.#order = options.reasons.map((_, i) => i).sort((a, b) => total(b) - total(a));
    view.append(this.#tip);
    this.recolor();
    view.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#resize()).observe(view);
  }

  /** How many bins the charts have room for. */
  get bins(): number {
    return Math.max(40, Math.floor((this.#view.clientWidth - 70) / BIN_PIXELS));
  }

  /** Draws something else. */
  draw(data: Aggregates): void {
    this.#totals = data.cpus.map((_, cpu) => totals(data, cpu, this.options.reasons.length));
    this.#most = Math.max(...this.#totals.flat());
    const sameCpus = this.#charts.length === data.cpus.length;
    this.#data = data;
    if (!sameCpus) this.#build();
    this.#charts.forEach((chart, cpu) => chart.setData(this.#columns(cpu)));
    this.mark(this.#head);
  }

  /** Reads the colours again, when the style sheet has other ones. */
  recolor(): void {
    this.#colors = this.options.reasons.map(({ name }, i) => style(reasonColor(name, i)));
    for (const chart of this.#charts) chart.destroy();
    this.#charts = [];
    this.draw(this.#data);
  }

  /** Shows where in time the rest of the page is. */
  mark(time: number | undefined): void {
    this.#head = time;
    const { from, to } = this.#data.range;
    this.#charts.forEach((chart, i) => {
      const head = this.#heads[i]!;
      head.hidden = time === undefined || time < from || time > to;
      if (!head.hidden) head.style.transform = `translateX(${chart.valToPos(time!, "x")}px)`;
    });
  }

  /** Zooms about a place, a part of the range from its left. */
  zoomBy(factor: number, place = 0.5): void {
    const { from, to } = this.#data.range;
    const width = (to - from) * factor;
    const start = from + (to - from - width) * place;
    this.options.zoom({ from: start, to: start + width });
  }

  /** Moves the range by a part of its width. */
  moveBy(part: number): void {
    const { from, to } = this.#data.range;
    this.options.zoom({ from: from + (to - from) * part, to: to + (to - from) * part });
  }

  #columns(cpu: number): uPlot.AlignedData {
    const { range, bins } = this.#data;
    const width = (range.to - range.from) / bins;
    return [Array.from({ length: bins }, (_, bin) => range.from + bin * width), this.#totals[cpu]!];
  }

  #build(): void {
    this.#heads.length = 0;
    this.#charts = this.#data.cpus.map((cpu, i) => this.#chart(cpu, i));
    for (const { root } of this.#charts) this.#view.insertBefore(root, this.#tip);
  }

  #height(): number {
    return this.#data.cpus.length <= FEW_CPUS ? 190 : 120;
  }

  #chart(cpu: number, place: number): uPlot {
    const line = { stroke: style("--grid"), width: 1 };
    const text = style("--muted");
    const chart = new uPlot(
      {
        width: this.#view.clientWidth || 600,
        height: this.#height(),
        legend: { show: false },
        // Room for half of the last tick's label.
        padding: [8, 40, 0, 0],
        scales: {
          x: { time: false, range: () => [this.#data.range.from, this.#data.range.to] },
          y: { range: () => [0, Math.max(1, this.#most * 1.06)] },
        },
        series: [{}, { paths: () => null, points: { show: false } }],
        axes: [
          {
            stroke: text,
            grid: { show: false },
            ticks: line,
            font: style("--chart-font"),
            space: 90,
            size: 34,
            values: (_, ticks) => {
              const step = ticks.length > 1 ? ticks[1]! - ticks[0]! : 10;
              return ticks.map((tick) => tickText(tick, step));
            },
          },
          {
            stroke: text,
            grid: line,
            ticks: { show: false },
            size: 58,
            space: 22,
            label: this.#data.cpus.length > 1 ? `cpu${cpu}` : "exits",
            labelSize: 16,
            labelFont: style("--chart-font"),
            font: style("--chart-font"),
            incrs: [
              1,
              2,
              5,
              ...[1, 2, 3, 4, 5, 6, 7].flatMap((e) => [10 ** e, 2 * 10 ** e, 5 * 10 ** e]),
            ],
            values: (_, ticks) => ticks.map(countText),
          },
        ],
        cursor: {
          y: false,
          points: { show: false },
          sync: { key: "time" },
          drag: { x: true, y: false, setScale: false },
          bind: {
            dblclick: () => () => {
              this.zoomBy(Infinity);
              return null;
            },
          },
        },
        hooks: {
          draw: [(chart) => this.#paint(chart, place)],
          setSelect: [(chart) => this.#selected(chart)],
          setCursor: [(chart) => this.#hover(chart, place)],
        },
      },
      this.#columns(place),
    );
    const head = element("div", { class: "head", hidden: true });
    chart.over.append(head);
    this.#heads.push(head);
    chart.over.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.shiftKey) return;
      event.preventDefault();
      const turn = event.deltaY || event.deltaX;
      const at = event.offsetX / chart.over.clientWidth;
      if (event.shiftKey) this.moveBy(Math.sign(turn) * ZOOM_STEP / 2);
      else this.zoomBy(turn > 0 ? 1 / (1 - ZOOM_STEP) : 1 - ZOOM_STEP, at);
    }, { passive: false });
    let pressed = 0;
    chart.over.addEventListener("mousedown", (event) => pressed = event.clientX);
    chart.over.addEventListener("click", (event) => {
      // The end of a drag is a click too.
      if (Math.abs(event.clientX - pressed) >= LEAST_DRAG) return;
      this.options.pick(chart.posToVal(event.offsetX, "x"));
    });
    return chart;
  }

  /** Draws a column a bin, its reasons upon each other. */
  #paint(chart: uPlot, cpu: number): void {
    const { ctx, bbox } = chart;
    const { bins, counts } = this.#data;
    const reasons = this.options.reasons.length;
    const pixel = devicePixelRatio;
    const step = bbox.width / bins;
    const width = Math.max(1, step - (step >= 4 * pixel ? pixel : 0));
    const bottom = bbox.top + bbox.height;
    const most = chart.scales.y!.max!;
    const heights = new Float64Array(bins);
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const reason of this.#order) {
      const at = (cpu * reasons + reason) * bins;
      ctx.fillStyle = this.#colors[reason]!;
      for (let bin = 0; bin < bins; bin++) {
        const count = counts[at + bin]!;
        if (count === 0) continue;
        const height = Math.max(LEAST_HEIGHT * pixel, count / most * bbox.height);
        heights[bin]! += height;
        const left = Math.round(bbox.left + bin * step);
        ctx.fillRect(left, bottom - heights[bin]!, Math.ceil(width), height);
      }
    }
    ctx.restore();
  }

  #selected(chart: uPlot): void {
    const { left, width } = chart.select;
    if (width < LEAST_DRAG) return;
    const from = chart.posToVal(left, "x");
    const to = chart.posToVal(left + width, "x");
    chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.options.zoom({ from, to });
  }

  #hover(chart: uPlot, cpu: number): void {
    const { left, idx } = chart.cursor;
    const isHere = chart.over.matches(":hover");
    if (left === undefined || left < 0) {
      if (!this.#charts.some(({ over }) => over.matches(":hover"))) {
        this.#tip.hidden = true;
        this.options.hover(undefined);
      }
      return;
    }
    if (!isHere || idx === null || idx === undefined) return;
    const time = chart.posToVal(left, "x");
    this.options.hover(time);
    const { range, bins, counts, cpus } = this.#data;
    const width = (range.to - range.from) / bins;
    const bin = Math.min(bins - 1, Math.max(0, Math.floor((time - range.from) / width)));
    const { reasons } = this.options;
    const lines = this.#order.flatMap((reason) => {
      const count = counts[(cpu * reasons.length + reason) * bins + bin]!;
      if (count === 0) return [];
      const swatch = element("i");
      swatch.style.background = this.#colors[reason]!;
      return [element("div", {}, swatch, `${reasons[reason]!.name} ${countText(count)}`)];
    });
    const when = `cpu${cpus[cpu]} at ${durationText(range.from + bin * width, 5)}`;
    this.#tip.replaceChildren(
      element("b", { text: when }),
      element("div", { class: "muted", text: `${durationText(width)} a column` }),
      ...lines,
    );
    this.#tip.hidden = false;
    const box = this.#view.getBoundingClientRect();
    const over = chart.over.getBoundingClientRect();
    const x = over.left - box.left + left;
    const flipped = x + this.#tip.offsetWidth + 24 > box.width;
    const tipX = flipped ? x - this.#tip.offsetWidth - 12 : x + 12;
    this.#tip.style.transform = `translate(${tipX}px, ${over.top - box.top + 6}px)`;
  }

  #key(event: KeyboardEvent): void {
    const actions: Record<string, () => void> = {
      "+": () => this.zoomBy(1 - 2 * ZOOM_STEP),
      "=": () => this.zoomBy(1 - 2 * ZOOM_STEP),
      "-": () => this.zoomBy(1 / (1 - 2 * ZOOM_STEP)),
      "0": () => this.zoomBy(Infinity),
      ArrowLeft: () => this.moveBy(-ZOOM_STEP),
      ArrowRight: () => this.moveBy(ZOOM_STEP),
    };
    const action = actions[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  }

  #resize(): void {
    const width = this.#view.clientWidth;
    for (const chart of this.#charts) {
      if (chart.width !== width) chart.setSize({ width, height: this.#height() });
    }
    this.mark(this.#head);
  }
}

/** Exits of a vCPU by bin. */
function totals({ bins, counts }: Aggregates, cpu: number, reasons: number): number[] {
  const sums = new Array<number>(bins).fill(0);
  for (let at = cpu * reasons * bins, end = at + reasons * bins; at < end; at++) {
    sums[at % bins]! += counts[at]!;
  }
  return sums;
}

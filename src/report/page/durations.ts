/// <reference lib="dom" />
/**
 * The times between exits, in the guest and in vmexit: histograms on a logarithmic scale.
 *
 * @module
 */

import uPlot from "uplot";
import { type Aggregates, durationOfBin, type Durations, quantile } from "../aggregate.ts";
import { element, style } from "./dom.ts";
import { countText, durationText } from "./format.ts";

const SERIES = [
  { name: "from exit to exit", key: "between", color: "--blue" },
  { name: "in the guest", key: "inGuest", color: "--green" },
  { name: "in vmexit", key: "inVmm", color: "--orange" },
] as const;
const QUANTILES = [
  { name: "least", of: ({ least }: Durations) => least },
  { name: "≈ median", of: (durations: Durations) => quantile(durations, 0.5) },
  { name: "≈ 90 %", of: (durations: Durations) => quantile(durations, 0.9) },
  { name: "≈ 99 %", of: (durations: Durations) => quantile(durations, 0.99) },
  { name: "most", of: ({ most }: Durations) => most },
  { name: "sum", of: ({ sum }: Durations) => sum },
];
const HEIGHT = 190;
const BINS_A_DECADE = 10;
const MOST_TICKS = 6;

/** The chart and the table beside it. */
export class DurationChart {
  #chart: uPlot | undefined;
  #data: Aggregates | undefined;

  /** @param view where the chart goes @param table where the numbers go */
  constructor(readonly view: HTMLElement, readonly table: HTMLElement) {
    new ResizeObserver(() => {
      this.#chart?.setSize({ width: view.clientWidth, height: HEIGHT });
    }).observe(view);
  }

  /** Draws what was measured. */
  draw(data: Aggregates): void {
    this.#data = data;
    const columns = this.#columns(data);
    if (this.#chart) this.#chart.setData(columns);
    else this.#build(columns);
    const rows = SERIES.filter(({ key }) => data[key].count > 0).map(({ name, key, color }) => {
      const swatch = element("i");
      swatch.style.background = `var(${color})`;
      const cells = QUANTILES.map(({ of }) => element("td", { text: durationText(of(data[key])) }));
      return element("tr", {}, element("th", { scope: "row" }, swatch, name), ...cells);
    });
    const heads = QUANTILES.map(({ name }) => element("th", { scope: "col", text: name }));
    this.table.replaceChildren(
      element("thead", {}, element("tr", {}, element("td"), ...heads)),
      element("tbody", {}, ...rows),
    );
  }

  /** Reads the colours again. */
  recolor(): void {
    this.#chart?.destroy();
    this.#chart = undefined;
    if (this.#data) this.draw(this.#data);
  }

  #columns(data: Aggregates): uPlot.AlignedData {
    const used = SERIES.flatMap(({ key }) =>
      data[key].bins.flatMap((count, bin) => count > 0 ? [bin] : [])
    );
    const first = used.length > 0 ? Math.min(...used) : 10;
    const last = used.length > 0 ? Math.max(...used) : 40;
    // Whole decades on both sides, so that the axis has ticks.
    const from = Math.floor(first / BINS_A_DECADE) * BINS_A_DECADE;
    const to = Math.ceil((last + 1) / BINS_A_DECADE) * BINS_A_DECADE;
    const bins = Array.from({ length: to - from + 1 }, (_, i) => from + i);
    return [
      bins,
      ...SERIES.map(({ key }) => bins.map((bin) => data[key].bins[bin] || null)),
    ];
  }

  #build(columns: uPlot.AlignedData): void {
    const text = style("--muted");
    const line = { stroke: style("--grid"), width: 1 };
    const floor = (chart: uPlot): number => chart.scales.y!.min!;
    this.#chart = new uPlot(
      {
        width: this.view.clientWidth || 400,
        height: HEIGHT,
        legend: { show: false },
        // Room for half of the last tick's label.
        padding: [8, 30, 0, 0],
        cursor: { show: false },
        scales: {
          x: { time: false, range: (_, least, most) => [least, most] },
          y: { distr: 3, range: (_, __, most) => [0.7, Math.max(10, (most ?? 1) * 1.5)] },
        },
        series: [
          {},
          ...SERIES.map(({ name, color }, i): uPlot.Series => ({
            label: name,
            stroke: style(color),
            width: i === 0 ? 0 : 1.5,
            ...(i === 0 ? { fill: style(color) + "99" } : {}),
            fillTo: floor,
            points: { show: i > 0, size: 4, fill: style(color) },
            paths: i === 0
              ? uPlot.paths.bars!({ align: 1, size: [0.9] })
              : uPlot.paths.stepped!({ align: 1 }),
          })),
        ],
        axes: [
          {
            stroke: text,
            grid: { show: false },
            ticks: line,
            font: style("--chart-font"),
            splits: (_, __, least, most) => decades(least, most),
            values: (_, bins) => bins.map((bin) => durationText(durationOfBin(bin), 1)),
          },
          {
            stroke: text,
            grid: line,
            ticks: { show: false },
            size: 58,
            label: "exits",
            labelSize: 16,
            labelFont: style("--chart-font"),
            font: style("--chart-font"),
            splits: (_, __, ___, most) => powersOfTen(most),
            filter: (_, ticks) => ticks,
            values: (_, ticks) => ticks.map(countText),
          },
        ],
      },
      columns,
      this.view,
    );
  }
}

function decades(least: number, most: number): number[] {
  const from = Math.ceil(least / BINS_A_DECADE);
  const to = Math.floor(most / BINS_A_DECADE);
  return Array.from({ length: to - from + 1 }, (_, i) => (from + i) * BINS_A_DECADE);
}

/** Every power up to a number; every second or third where they would be many. */
function powersOfTen(most: number): number[] {
  const powers = Math.floor(Math.log10(most));
  const step = Math.ceil((powers + 1) / MOST_TICKS);
  return Array.from({ length: Math.floor(powers / step) + 1 }, (_, i) => 10 ** (i * step));
}

/**
 * Draws panels of curves over logarithmic or linear axes, as one SVG.
 *
 * @module
 */

/** One program's values. */
export interface Curve {
  readonly name: string;
  /** `y` by `x`. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** An axis: its title, and how its numbers are written. */
export interface Axis {
  readonly name: string;
  /** Makes the axis logarithmic; without it, it is linear and begins at 0. */
  readonly base?: number;
  label(value: number): string;
}

/** One panel. */
export interface Panel {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly curves: readonly Curve[];
}

const COLUMNS = 2;
const PANEL = { width: 460, height: 330, left: 84, right: 24, top: 54, bottom: 56 } as const;
const LEGEND_HEIGHT = 40;

/** Styles of the curves in order: readable on white and on black, and distinct in shape too. */
const STYLES = [
  { color: "#2f81f7", symbol: "circle" },
  { color: "#e8590c", symbol: "rect" },
  { color: "#9a6ee8", symbol: "triangle" },
  { color: "#2da44e", symbol: "diamond" },
] as const;

/** Colours of everything else on a light background, and their dark counterparts. */
const INK = { text: "#24292f", faint: "#d4d9df" } as const;
const DARK: Readonly<Record<string, string>> = {
  [INK.text]: "#d9dee4",
  [INK.faint]: "#3d444d",
};

/**
 * Draws panels, two a row. A curve of the same name looks the same in all.
 *
 * @returns the SVG, which follows the reader's choice of light or dark
 *
 * @example
 * ```ts
 * import { plot } from "./plot.ts";
 * const axis = { name: "n", base: 10, label: String };
 * const curves = [{ name: "squares", points: [[1, 1], [10, 100]] as const }];
 * const svg = await plot([{ title: "Growth", x: axis, y: axis, curves }]);
 * ```
 */
export async function plot(panels: readonly Panel[]): Promise<string> {
  const { init } = await import("echarts");
  const names = [...new Set(panels.flatMap(({ curves }) => curves.map(({ name }) => name)))];
  const styleOf = (name: string) => STYLES[names.indexOf(name) % STYLES.length]!;
  const chart = init(null, null, {
    renderer: "svg",
    ssr: true,
    width: COLUMNS * PANEL.width,
    height: LEGEND_HEIGHT + Math.ceil(panels.length / COLUMNS) * PANEL.height,
  });
  const left = (i: number) => (i % COLUMNS) * PANEL.width;
  const top = (i: number) => LEGEND_HEIGHT + Math.floor(i / COLUMNS) * PANEL.height;
  chart.setOption({
    animation: false,
    textStyle: { color: INK.text, fontFamily: "system-ui, sans-serif" },
    legend: {
      top: 8,
      data: names,
      itemGap: 24,
      textStyle: { color: INK.text, fontSize: 14 },
    },
    title: panels.map(({ title }, i) => ({
      text: title,
      left: left(i) + PANEL.left,
      top: top(i) + 12,
      textStyle: { color: INK.text, fontSize: 15 },
    })),
    grid: panels.map((_, i) => ({
      left: left(i) + PANEL.left,
      top: top(i) + PANEL.top,
      width: PANEL.width - PANEL.left - PANEL.right,
      height: PANEL.height - PANEL.top - PANEL.bottom,
    })),
    xAxis: panels.map(({ x, curves }, i) => ({
      ...axisOf(x, i),
      ...rangeOf(curves),
      nameGap: 30,
      splitLine: { show: false },
    })),
    yAxis: panels.map(({ y }, i) => ({ ...axisOf(y, i), nameGap: 60 })),
    series: panels.flatMap(({ curves }, i) =>
      curves.map(({ name, points }) => {
        const { color, symbol } = styleOf(name);
        return {
          type: "line" as const,
          name,
          xAxisIndex: i,
          yAxisIndex: i,
          data: points.map(([x, y]) => [x, y]),
          symbol,
          symbolSize: 8,
          lineStyle: { width: 2, color },
          itemStyle: { color },
        };
      })
    ),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return followColorScheme(svg);
}

function axisOf({ name, base, label }: Axis, gridIndex: number) {
  return {
    gridIndex,
    name,
    nameLocation: "middle" as const,
    nameTextStyle: { color: INK.text, fontSize: 13 },
    axisLine: { show: true, lineStyle: { color: INK.text } },
    axisTick: { show: true, lineStyle: { color: INK.text } },
    axisLabel: { color: INK.text, fontSize: 12, formatter: label, hideOverlap: true },
    splitLine: { lineStyle: { color: INK.faint } },
    ...(base === undefined
      ? { type: "value" as const, minInterval: 1 }
      : { type: "log" as const, logBase: base }),
  };
}

function rangeOf(curves: readonly Curve[]): { min: number; max: number } {
  const all = curves.flatMap(({ points }) => points.map(([x]) => x));
  return { min: Math.min(...all), max: Math.max(...all) };
}

/** The dark counterparts as a media query: an SVG image has its own style. */
function followColorScheme(svg: string): string {
  const rules = Object.entries(DARK).map(([light, dark]) =>
    `[fill="${light}"]{fill:${dark}}[stroke="${light}"]{stroke:${dark}}`
  );
  const style = `<style>@media (prefers-color-scheme:dark){${rules.join("")}}</style>`;
  return svg.replace(/^<svg[^>]*>/, (tag) => `${tag}\n${style}`) + "\n";
}

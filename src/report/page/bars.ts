/// <reference lib="dom" />
/**
 * Histograms by name: one bar each, most frequent first; a click filters by it.
 *
 * @module
 */

import type { Bar, Histogram } from "../aggregate.ts";
import { element } from "./dom.ts";
import { countText } from "./format.ts";

/** How a histogram's values are shown and filtered by. */
export interface BarOptions {
  label(bar: Bar): string;
  /** The filter that selects a bar's exits. */
  filter(bar: Bar): string;
  /** The custom property with a bar's colour. */
  color(bar: Bar): string;
  /** The user clicked on a bar. */
  toggle(filter: string): void;
}

/** A histogram in an element. */
export class BarChart {
  constructor(readonly view: HTMLElement, readonly options: BarOptions) {}

  /** Draws bars. @param active the filter's words, whose bars are marked */
  draw({ bars, total, otherValues, otherCount }: Histogram, active: ReadonlySet<string>): void {
    const { label, filter, color, toggle } = this.options;
    const most = bars[0]?.count ?? 1;
    const items = bars.map((bar) => {
      const word = filter(bar);
      const share = bar.count / total * 100;
      const percent = share >= 99.95 || share < 0.05 ? share.toPrecision(1) : share.toFixed(1);
      const fill = element("span", { class: "fill" });
      fill.style.width = `${Math.max(0.5, bar.count / most * 100)}%`;
      fill.style.background = `var(${color(bar)})`;
      const button = element(
        "button",
        {
          type: "button",
          "aria-pressed": String(active.has(word)),
          title: `${countText(bar.count)} exits; click to filter by ${word}`,
          onclick: () => toggle(word),
        },
        fill,
        element("span", { class: "label", text: label(bar) }),
        element("span", { class: "count", text: countText(bar.count) }),
        element("span", { class: "share", text: `${bar.count === total ? "100" : percent} %` }),
      );
      return element("li", {}, button);
    });
    if (otherCount > 0) {
      const text = `${countText(otherCount)} exits of ${countText(otherValues)} other values`;
      items.push(element("li", { class: "others", text }));
    }
    if (items.length === 0) items.push(element("li", { class: "others", text: "none" }));
    this.view.replaceChildren(...items);
  }
}

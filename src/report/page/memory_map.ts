/// <reference lib="dom" />
/**
 * The map of guest physical memory: one block a region, taller where it is larger, with marks where
 * exits touched it.
 *
 * @module
 */

import { type Aggregates, MARKS } from "../aggregate.ts";
import { hex } from "../../hex.ts";
import type { BeginRecord } from "../../trace/records.ts";
import type { Region } from "../regions.ts";
import { element } from "./dom.ts";
import { bytesText, countText } from "./format.ts";

type Loaded = BeginRecord["loaded"][number];

/** Pixels. */
const LEAST_HEIGHT = 22;
const HEIGHT_A_DOUBLING = 1.6;
const PAGE_BITS = 12;

/** The map. */
export class MemoryMap {
  readonly #regions: readonly { readonly region: Region; readonly row: HTMLElement }[];

  /**
   * @param loaded what was loaded into memory
   * @param toggle called with the filter of a region that was clicked
   */
  constructor(
    view: HTMLElement,
    regions: readonly Region[],
    loaded: readonly Loaded[],
    toggle: (filter: string) => void,
  ) {
    this.#regions = regions.map((region) => {
      const row = element("button", {
        type: "button",
        class: `region ${region.kind}`,
        onclick: () => toggle(regionFilter(region)),
      });
      const doublings = Math.log2(Number(region.end - region.start)) - PAGE_BITS;
      row.style.minHeight = `${LEAST_HEIGHT + Math.max(0, doublings) * HEIGHT_A_DOUBLING}px`;
      if (region.kind === "gap") row.style.minHeight = `${LEAST_HEIGHT}px`;
      for (const range of loaded) {
        const mark = loadedMark(region, range);
        if (mark) row.append(mark);
      }
      row.append(
        element(
          "span",
          { class: "what" },
          element("span", { class: "address", text: hex(region.start) }),
          element("span", { class: "name", text: region.label }),
          element("span", { class: "size", text: bytesText(region.end - region.start) }),
          element("span", { class: "counts" }),
        ),
        element("span", { class: "marks" }),
      );
      return { region, row };
    });
    const list = this.#regions.map(({ row }) => element("li", {}, row));
    const last = regions.at(-1);
    view.replaceChildren(...list);
    if (last) view.append(element("li", { class: "end", text: hex(last.end) }));
    else view.append(element("li", { class: "others", text: "nothing is known of it" }));
  }

  /** Draws what happened where. */
  draw({ regions }: Aggregates, active: ReadonlySet<string>): void {
    this.#regions.forEach(({ region, row }, i) => {
      const { mmio, faults, mmioMarks, faultMarks } = regions[i]!;
      const counts = [
        ...(mmio > 0 ? [`${countText(mmio)} MMIO`] : []),
        ...(faults > 0 ? [`${countText(faults)} fault${faults === 1 ? "" : "s"}`] : []),
      ].join(", ");
      row.setAttribute("aria-pressed", String(active.has(regionFilter(region))));
      row.title = `${hex(region.start)} to ${hex(region.end - 1n)}: ${region.label}`;
      row.querySelector(".counts")!.textContent = counts;
      row.querySelector(".marks")!.replaceChildren(
        ...mmioMarks.map((at) => tick("mmio", at)),
        ...faultMarks.map((at) => tick("fault", at)),
      );
    });
  }
}

/** The filter that selects the accesses to a region. */
export function regionFilter({ start, end }: Region): string {
  return `gpa=${hex(start)}..${hex(end - 1n)}`;
}

function tick(kind: string, at: number): HTMLElement {
  const mark = element("i", { class: kind });
  mark.style.left = `${at / MARKS * 100}%`;
  return mark;
}

function loadedMark(region: Region, loaded: Loaded): HTMLElement | undefined {
  const gpa = BigInt(loaded.gpa);
  if (gpa < region.start || gpa >= region.end) return undefined;
  const length = Number(region.end - region.start);
  const mark = element("i", {
    class: "loaded",
    title: `${loaded.name}: ${loaded.gpa}+${loaded.size}`,
  });
  mark.style.left = `${Number(gpa - region.start) / length * 100}%`;
  mark.style.width = `${Math.min(1, Number(loaded.size) / length) * 100}%`;
  return mark;
}

/// <reference lib="dom" />
/**
 * The table of exits, of which only the visible rows are in the document.
 *
 * @module
 */

import type { Prepared, Selection } from "../aggregate.ts";
import { reasonColor } from "./colors.ts";
import { element } from "./dom.ts";
import {
  accessText,
  addressText,
  countText,
  dataText,
  durationText,
  ripText,
  timeText,
} from "./format.ts";
import { VirtualList } from "./virtual_list.ts";

/** Pixels, as in the style sheet. */
const ROW_HEIGHT = 24;
const SCROLL_BAR = 16;
/** Rows in sight. */
const MOST_ROWS = 18;

interface Column {
  readonly name: string;
  readonly head: string;
  text(prepared: Prepared, row: number): string;
}

const COLUMNS: readonly Column[] = [
  { name: "n", head: "#", text: ({ rows }, row) => countText(rows.n[row]!) },
  { name: "time", head: "ms", text: ({ rows }, row) => timeText(rows.time[row]!) },
  {
    name: "gap",
    head: "since last",
    text: ({ gap }, row) => gap[row]! < 0 ? "" : durationText(gap[row]!),
  },
  { name: "cpu", head: "cpu", text: ({ rows }, row) => String(rows.cpu[row]) },
  {
    name: "reason",
    head: "reason",
    text: ({ rows }, row) => rows.tables.reasons[rows.reason[row]!]!.name,
  },
  { name: "address", head: "port, GPA, MSR", text: ({ rows }, row) => addressText(rows, row) },
  { name: "access", head: "access", text: ({ rows }, row) => accessText(rows, row) },
  { name: "data", head: "data", text: ({ rows }, row) => dataText(rows, row) },
  {
    name: "device",
    head: "device",
    text: ({ rows }, row) => rows.tables.accesses[rows.access[row]!]!.device,
  },
  { name: "rip", head: "RIP", text: ({ rows }, row) => ripText(rows, row) },
  { name: "note", head: "more", text: ({ rows }, row) => rows.tables.notes[rows.note[row]!]! },
];

/** A table of which only the rows in sight exist. */
export class ExitTable {
  readonly #list: VirtualList;
  readonly #prepared: Prepared;
  #selection: Selection = new Uint32Array();

  /** @param choose called with the row that the user chose */
  constructor(
    readonly view: HTMLElement,
    heads: HTMLElement,
    prepared: Prepared,
    choose: (row: number) => void,
  ) {
    this.#prepared = prepared;
    view.style.height = `${Math.min(MOST_ROWS, prepared.rows.length) * ROW_HEIGHT + SCROLL_BAR}px`;
    heads.replaceChildren(
      ...COLUMNS.map(({ name, head }) =>
        element("span", { role: "columnheader", class: name, text: head })
      ),
    );
    this.#list = new VirtualList(view, {
      rowHeight: ROW_HEIGHT,
      fill: (element, index) => this.#fill(element, this.#selection[index]!),
      choose: (index) => choose(this.#selection[index]!),
    });
    // The headings scroll sideways with the table.
    view.addEventListener(
      "scroll",
      () => heads.style.transform = `translateX(${-view.scrollLeft}px)`,
    );
  }

  /** Shows these rows. */
  draw(selection: Selection): void {
    this.#selection = selection;
    this.view.setAttribute("aria-rowcount", String(selection.length));
    this.#list.length = selection.length;
  }

  /** Marks a row, or the one before it that is shown, and brings it into sight. */
  show(row: number): void {
    const selection = this.#selection;
    let low = 0;
    let high = selection.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (selection[middle]! <= row) low = middle + 1;
      else high = middle;
    }
    this.#list.show(low - 1);
  }

  #fill(line: HTMLElement, row: number): void {
    if (line.childElementCount === 0) {
      line.setAttribute("role", "row");
      for (const { name } of COLUMNS) {
        line.append(element("span", { role: "gridcell", class: name }));
      }
    }
    const { tables, reason } = this.#prepared.rows;
    COLUMNS.forEach(({ name, text }, i) => {
      const cell = line.children[i] as HTMLElement;
      const content = text(this.#prepared, row);
      cell.textContent = content;
      if (name === "note" || name === "data") cell.title = content;
      if (name === "reason") {
        cell.style.color = `var(${reasonColor(tables.reasons[reason[row]!]!.name, reason[row]!)})`;
      }
    });
  }
}

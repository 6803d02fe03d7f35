/// <reference lib="dom" />
/**
 * The console output, in step with the rest of the page: output after the selected moment is pale.
 *
 * @module
 */

import type { ConsoleOutput } from "../rows.ts";
import { type ConsoleLine, consoleLines, consoleText, lineAt } from "./console_lines.ts";
import { element } from "./dom.ts";
import { VirtualList } from "./virtual_list.ts";

/** Pixels, as in the style sheet. */
const ROW_HEIGHT = 18;

/** The console's text. */
export class ConsoleView {
  readonly #lines: readonly ConsoleLine[];
  readonly #list: VirtualList;
  /** The last row that has happened. */
  #now = Infinity;

  /** @param choose called with the row of the exit that wrote what the user chose */
  constructor(
    view: HTMLElement,
    readonly output: ConsoleOutput,
    choose: (row: number) => void,
  ) {
    this.#lines = consoleLines(output);
    this.#list = new VirtualList(view, {
      rowHeight: ROW_HEIGHT,
      fill: (row, index) => this.#fill(row, this.#lines[index]!),
      choose: (index) => choose(output.row[this.#lines[index]!.places[0]!]!),
    });
    this.#list.length = this.#lines.length;
  }

  /** Goes to the moment after a row; `undefined`: to the end. */
  show(row: number | undefined): void {
    this.#now = row ?? Infinity;
    if (row === undefined || this.#lines.length === 0) {
      this.#list.refresh();
    } else {
      this.#list.show(lineAt(this.output, this.#lines, row));
    }
  }

  #fill(line: HTMLElement, { places, device }: ConsoleLine): void {
    const { bytes, row, devices } = this.output;
    let done = places.length;
    while (done > 0 && row[places[done - 1]!]! > this.#now) done--;
    const part = (from: number, to: number): string =>
      consoleText(Uint8Array.from(places.subarray(from, to), (place) => bytes[place]!));
    line.replaceChildren(
      ...(devices.length > 1 ? [element("span", { class: "tag", text: devices[device]! })] : []),
      element("span", { text: part(0, done) }),
      element("span", { class: "later", text: part(done, places.length) }),
    );
  }
}

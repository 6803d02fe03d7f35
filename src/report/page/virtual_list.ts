/// <reference lib="dom" />
/**
 * A list of any length, of which only the visible part is in the document.
 *
 * @module
 */

import { element, onceAFrame } from "./dom.ts";

/** Browsers make no element much higher than this many pixels. */
const MAX_HEIGHT = 8_000_000;

/** What a list shows. */
export interface ListOptions {
  /** Pixels. */
  readonly rowHeight: number;
  /** Fills a row's element, which may have been another row's. */
  fill(row: HTMLElement, index: number): void;
  /** The user chose a row by mouse or keyboard. */
  choose(index: number): void;
}

/** A list in an element that scrolls. */
export class VirtualList {
  readonly #spacer = element("div", { class: "spacer" });
  readonly #rows: HTMLElement[] = [];
  readonly #draw = onceAFrame(() => this.#render());
  #length = 0;
  #active = -1;
  #first = 0;

  /** @param view the element that scrolls */
  constructor(readonly view: HTMLElement, readonly options: ListOptions) {
    view.append(this.#spacer);
    view.addEventListener("scroll", this.#draw);
    view.addEventListener("keydown", (event) => this.#key(event));
    view.addEventListener("click", (event) => {
      const row = (event.target as HTMLElement).closest<HTMLElement>("[data-index]");
      if (row) this.#choose(Number(row.dataset.index));
    });
    new ResizeObserver(this.#draw).observe(view);
  }

  /** How many rows there are. Shows the list from its start. */
  set length(length: number) {
    this.#length = length;
    this.#active = -1;
    const height = Math.min(length * this.options.rowHeight, MAX_HEIGHT);
    this.#spacer.style.height = `${height}px`;
    this.view.scrollTop = 0;
    this.#draw();
  }

  get length(): number {
    return this.#length;
  }

  /** Redraws the visible rows. */
  refresh(): void {
    this.#draw();
  }

  /** Marks a row and, unless it is in sight, scrolls there; -1 for none. */
  show(index: number): void {
    this.#active = index;
    const visible = this.#visible();
    const margin = Math.min(2, Math.floor(visible / 4));
    if (index >= 0 && (index < this.#first + margin || index >= this.#first + visible - margin)) {
      this.#scrollTo(index - Math.floor(visible / 2));
    }
    this.#draw();
  }

  /** Whole rows in sight. */
  #visible(): number {
    return Math.max(1, Math.floor(this.view.clientHeight / this.options.rowHeight));
  }

  /** How many rows a pixel of scrolling is: 1 / height, or more where the list is too long. */
  get #rowsAPixel(): number {
    const scrolled = this.#spacer.offsetHeight - this.view.clientHeight;
    if (this.#length * this.options.rowHeight <= MAX_HEIGHT) return 1 / this.options.rowHeight;
    return (this.#length - this.#visible()) / Math.max(1, scrolled);
  }

  #scrollTo(first: number): void {
    this.view.scrollTop = Math.max(0, first) / this.#rowsAPixel;
  }

  #render(): void {
    const { rowHeight, fill } = this.options;
    const exact = this.view.scrollTop * this.#rowsAPixel;
    this.#first = Math.max(0, Math.floor(exact));
    const count = Math.min(this.#visible() + 2, this.#length - this.#first);
    while (this.#rows.length < count) {
      const row = element("div", { class: "row" });
      this.#rows.push(row);
      this.#spacer.append(row);
    }
    const top = this.view.scrollTop - (exact - this.#first) * rowHeight;
    this.#rows.forEach((row, i) => {
      row.hidden = i >= count;
      if (row.hidden) return;
      const index = this.#first + i;
      row.dataset.index = String(index);
      row.style.transform = `translateY(${Math.round(top + i * rowHeight)}px)`;
      row.classList.toggle("active", index === this.#active);
      row.setAttribute("aria-rowindex", String(index + 1));
      fill(row, index);
    });
  }

  #choose(index: number): void {
    if (this.#length === 0) return;
    const chosen = Math.min(this.#length - 1, Math.max(0, index));
    this.show(chosen);
    this.options.choose(chosen);
  }

  #key(event: KeyboardEvent): void {
    const page = Math.max(1, this.#visible() - 1);
    const steps: Record<string, number> = {
      ArrowUp: -1,
      ArrowDown: 1,
      PageUp: -page,
      PageDown: page,
      Home: -Infinity,
      End: Infinity,
    };
    const step = steps[event.key];
    if (step === undefined || event.target !== this.view) return;
    event.preventDefault();
    this.#choose(this.#active < 0 && Number.isFinite(step) ? this.#first : this.#active + step);
  }
}

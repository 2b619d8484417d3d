// Which entries of a list are selected: some by their keys, or all but some. And the box that is drawn to select them.
import { make } from "./api.js";

const DRAG = 6; // pixels before a press is a box
const EDGE = 40;
const SCROLL = 30;

export class Selection {
  /** @type {Set<string>} those that are selected; where all are, those that are not */ #keys = new Set();
  all = false;

  /** @param {string} key */
  has(key) {
    return this.all !== this.#keys.has(key);
  }

  /** @param {number} size of the list */
  count(size) {
    return this.all ? size - this.#keys.size : this.#keys.size;
  }

  /** The keys that are selected; where all are, those that are not. */
  get keys() {
    return [...this.#keys];
  }

  /** @param {Iterable<string>} keys */
  set(keys, all = false) {
    this.#keys = new Set(keys);
    this.all = all;
  }

  /** @param {string} key */
  toggle(key) {
    if (!this.#keys.delete(key)) this.#keys.add(key);
  }

  /** @param {string} key */
  add(key) {
    if (!this.has(key)) this.toggle(key);
  }

  /** Forget what is gone. @param {(key: string) => boolean} stays @returns {boolean} whether anything was forgotten */
  keep(stays) {
    const gone = this.keys.filter((key) => !stays(key));
    for (const key of gone) this.#keys.delete(key);
    return gone.length > 0;
  }
}

/** @typedef {{left: number, top: number, right: number, bottom: number}} Box in pixels from the list's corner */

/**
 * The indexes of the tiles that a box touches, of those that there may be.
 * @param {{columns: number, side: number, step: number}} layout in pixels
 * @param {Box} box
 */
export function* inBox({ columns, side, step }, { left, top, right, bottom }) {
  const first = (/** @type {number} */ start) => Math.max(0, Math.ceil((start - side) / step));
  for (let y = first(top); y <= Math.floor(bottom / step); y++)
    for (let x = first(left); x <= Math.min(Math.floor(right / step), columns - 1); x++) yield y * columns + x;
}

/**
 * Draw a box with the mouse, from a press until it is let go.
 * @param {HTMLElement} list
 * @param {PointerEvent} start
 * @param {(box: Box) => void} changed
 */
export function drawBox(list, start, changed) {
  if (start.button || start.pointerType !== "mouse") return;
  const point = (/** @type {PointerEvent} */ event) => {
    const rect = list.getBoundingClientRect();
    return { x: event.clientX - rect.left, y: event.clientY - rect.top };
  };
  const shape = make("div", { class: "lasso" });
  const stop = new AbortController();
  const from = point(start);
  addEventListener("pointermove", (event) => {
    const to = point(event);
    if (!shape.isConnected && Math.hypot(to.x - from.x, to.y - from.y) < DRAG) return;
    if (!shape.isConnected) list.append(shape);
    const [left, right] = [Math.min(from.x, to.x), Math.max(from.x, to.x)];
    const [top, bottom] = [Math.min(from.y, to.y), Math.max(from.y, to.y)];
    Object.assign(shape.style, { left: `${left}px`, top: `${top}px`, width: `${right - left}px`, height: `${bottom - top}px` });
    changed({ left, top, right, bottom });
    if (event.clientY < EDGE || event.clientY > innerHeight - EDGE) document.scrollingElement?.scrollBy(0, event.clientY < EDGE ? -SCROLL : SCROLL);
  }, { signal: stop.signal });
  const end = () => {
    stop.abort();
    if (!shape.isConnected) return;
    shape.remove();
    addEventListener("click", (event) => event.stopPropagation(), { capture: true, once: true });
    setTimeout(() => dispatchEvent(new Event("click"))); // takes the listener away where no click follows
  };
  addEventListener("pointerup", end, { signal: stop.signal });
  addEventListener("pointercancel", end, { signal: stop.signal });
}

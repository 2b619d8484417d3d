// A grid of pictures with selection. Only the tiles near the window exist, so that 50,000 pictures scroll smoothly.
//
//   <image-grid src="/v1/datasets/ds_1/images?unlabelled=true" dataset="ds_1" total="412" label="Pictures">
//     <ul class="tiles">… what the server drew, for browsers without script …</ul>
//   </image-grid>
//
// Attributes
//   src      a list of /v1, read page by page as one scrolls; without it, set `entries`
//   dataset  id of the data set
//   total    how many entries the list has, if known, so that the scroll bar is right from the start
//   label    the accessible name
//   toggle   a click adds to the selection or takes from it, Enter is the screen's; the selection bar leaves such grids alone
//   empty    what is said where the list is empty
// Properties and methods
//   draw(entry)            what a tile shows (Look in tile.js); assign your own for lists of other things than images
//   entries                the entries read so far; assign an array to show your own instead of `src`
//   selection              what is selected, as acts of /v1 take it: { images: keys }, or { filter, except }; or null
//   selected, filter       the selected entries that were read; the filter of a list of a data set's images
//   select(keys)           selects these; selectAll(), clear(); count: how many are selected
//   update(keys, change)   puts change(entry) in the place of these entries; null takes one out
//   reveal(key)            moves the focus to an entry
//   refresh()              reads the list again and keeps the place
//   retouch()              draws what is said of the pictures again
// Events (all bubble)
//   selection              the selection changed; detail { adding }: true where others may stay selected (ctrl, shift)
//   open                   double click or Enter; detail { entry }
import { make } from "../api.js";
import { further } from "../keys.js";
import { complain } from "../notices.js";
import { PagedList } from "../paged-list.js";
import { released } from "../press.js";
import { Selection, drawBox, inBox } from "../selection.js";
import { dress, lookOfImage, makeTile } from "../tile.js";

const AHEAD = 500;
const FRAME_MS = 4;
const LOADS = 16; // pictures that a frame begins to load: that is work after the script has run, which its clock misses
const CALM_MS = 80;

export class ImageGrid extends HTMLElement {
  static observedAttributes = ["src", "total"];
  #source = new PagedList();
  #list = make("ul", { class: "tiles windowed", role: "listbox", "aria-multiselectable": "true" });
  #nothing = make("p", { class: "empty" });
  /** @type {Map<number, HTMLElement>} */ #tiles = new Map();
  /** @type {Map<string, HTMLElement>} */ #pictures = new Map();
  #selection = new Selection();
  #active = 0;
  #anchor = 0;
  #layout = { columns: 1, side: 100, step: 106 };
  #frame = 0;
  #top = 0;
  #calm = 0;
  #resize = new ResizeObserver(() => this.#measure());
  /** @type {AbortController | null} */ #listening = null;

  #draw = lookOfImage;

  connectedCallback() {
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    const list = this.#list;
    list.setAttribute("aria-label", this.getAttribute("label") ?? "Pictures");
    list.addEventListener("click", (/** @type {MouseEvent} */ event) => this.#click(event), { signal });
    list.addEventListener("dblclick", (/** @type {MouseEvent} */ event) => this.#open(this.#at(event)), { signal });
    list.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#key(event), { signal });
    list.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => this.#drag(event), { signal });
    addEventListener("scroll", () => this.#schedule(), { capture: true, passive: true, signal });
    if (this.contains(list)) this.#resize.observe(list); // it was here before, and was moved
    if (this.hasAttribute("src")) this.refresh();
  }

  disconnectedCallback() {
    this.#listening?.abort();
    this.#listening = null;
    this.#resize.disconnect();
  }

  /** @param {string} name @param {string | null} before @param {string | null} after */
  attributeChangedCallback(name, before, after) {
    if (!this.#listening || before === after) return;
    name === "src" ? this.#read() : this.#schedule();
  }

  // --- entries

  get draw() {
    return this.#draw;
  }

  set draw(draw) {
    this.#draw = draw;
    if (this.entries.length) this.#redraw();
  }

  get entries() {
    return this.#source.entries;
  }

  set entries(entries) {
    this.#source.set(entries);
    this.#taken();
  }

  get #src() {
    return this.getAttribute("src") ?? "";
  }

  get #size() {
    return this.#source.more ? Math.max(this.entries.length, Number(this.getAttribute("total") ?? 0)) : this.entries.length;
  }

  /** @param {number} [until] reads at least so many */
  async #read(until = 1) {
    if (!this.#src) return;
    try {
      if (await this.#source.read(this.#src, until, () => released((pressed) => this.contains(pressed)))) this.#taken();
    } catch (error) {
      complain(error, () => this.#read(until));
    }
  }

  async #next() {
    try {
      await this.#source.next(this.#src);
    } catch (error) {
      complain(error, () => this.refresh());
    }
    this.#schedule();
  }

  #taken() {
    const keys = new Set(this.entries.map((entry) => this.draw(entry).key));
    const forgot = !this.#source.more && this.#selection.keep((key) => keys.has(key));
    this.#redraw();
    if (forgot) this.#tell(true);
  }

  refresh() {
    const furthest = this.entries.findLastIndex((entry) => this.#selection.all !== this.#selection.has(this.draw(entry).key));
    return this.#read(Math.max(1, furthest + 1, ...this.#tiles.keys()));
  }

  /** @param {Iterable<string>} keys @param {(entry: any) => any} change */
  update(keys, change) {
    const wanted = new Set(keys);
    const before = this.entries.length;
    this.#source.entries = this.entries.flatMap((entry) => (wanted.has(this.draw(entry).key) ? (change(entry) ?? []) : [entry]));
    const total = Number(this.getAttribute("total"));
    if (total) this.setAttribute("total", String(total - before + this.entries.length));
    this.#selection.keep((key) => !wanted.has(key));
    this.#redraw();
    this.#tell(true);
  }

  // --- tiles

  #redraw() {
    if (!this.contains(this.#list)) {
      for (const tile of /** @type {NodeListOf<HTMLElement>} */ (this.querySelectorAll("[data-image]")))
        this.#keep(tile.dataset.image ?? "", tile.querySelector("img"));
      this.replaceChildren(this.#list, this.#nothing);
      this.#resize.observe(this.#list);
    }
    const focused = this.#list.contains(document.activeElement);
    for (const tile of this.#tiles.values()) this.#keep(tile.dataset.image ?? "", tile.querySelector("img"));
    this.#list.replaceChildren();
    this.#tiles.clear();
    this.#active = Math.max(0, Math.min(this.#active, this.entries.length - 1));
    this.#measure();
    this.#pictures.clear();
    if (focused) this.#focus(this.#active, false);
    this.#nothing.textContent = this.entries.length ? "" : this.getAttribute("empty");
    this.#nothing.hidden = !this.#nothing.textContent;
  }

  /** @param {string} key @param {HTMLElement | null} picture */
  #keep(key, picture) {
    if (picture) this.#pictures.set(key, picture);
  }

  #measure() {
    const style = getComputedStyle(this.#list);
    const columns = style.gridTemplateColumns.split(" ");
    const side = parseFloat(columns[0]) || 100;
    this.#layout = { columns: columns.length, side, step: side + parseFloat(style.columnGap) };
    this.#list.style.setProperty("--side", `${side}px`);
    for (const [index, tile] of this.#tiles) this.#place(tile, index);
    this.#render();
  }

  #schedule() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#render();
    });
  }

  #render() {
    const { columns, side, step } = this.#layout;
    const size = this.#size;
    const rows = Math.ceil(size / columns);
    const top = this.#list.getBoundingClientRect().top; // before anything is written, else the layout is done twice
    const height = `${Math.max(0, rows * step - (step - side))}px`;
    if (this.#list.style.height !== height) this.#list.style.height = height;
    const first = Math.max(0, Math.floor((-top - AHEAD) / step)) * columns;
    const end = Math.min(this.entries.length, Math.max(0, Math.ceil((innerHeight - top + AHEAD) / step)) * columns);
    const reach = Math.min(size, Math.max(0, Math.ceil((innerHeight - top + AHEAD) / step)) * columns);
    for (const [index, tile] of this.#tiles) {
      if ((index >= first && index < end) || index === this.#active) continue;
      tile.querySelector("img")?.removeAttribute("src"); // what has scrolled away is not loaded any more
      tile.remove();
      this.#tiles.delete(index);
    }
    const seen = (/** @type {number} */ index) => index >= Math.floor(-top / step) * columns && index < Math.ceil((innerHeight - top) / step) * columns;
    const missing = [];
    for (let index = first; index < end; index++) if (!this.#tiles.has(index)) missing.push(index);
    const until = performance.now() + FRAME_MS;
    for (const index of [...missing.filter(seen), ...missing.filter((each) => !seen(each))]) {
      if (performance.now() > until) {
        this.#schedule(); // the rest in the next frame
        break;
      }
      let next = index + 1;
      while (next < end && !this.#tiles.has(next)) next++;
      this.#list.insertBefore(this.#make(index), next < end ? (this.#tiles.get(next) ?? null) : null);
    }
    clearTimeout(this.#calm);
    const rushes = Math.abs(top - this.#top) > innerHeight / 3;
    this.#top = top;
    if (rushes) this.#calm = window.setTimeout(() => this.#load(performance.now() + FRAME_MS), CALM_MS);
    else this.#load(until);
    if (this.entries.length && !this.#tiles.has(this.#active)) this.#list.append(this.#make(this.#active));
    if (this.#source.more && (reach > this.entries.length || end === this.entries.length)) this.#next();
  }

  /** Loads the pictures of the tiles, not while they rush by; the rest in the next frame. @param {number} until */
  #load(until) {
    let begun = 0;
    for (const tile of this.#tiles.values()) {
      const picture = tile.querySelector("img:not([src])");
      if (!picture) continue;
      if (performance.now() > until || begun++ === LOADS) return this.#schedule();
      /** @type {HTMLImageElement} */ (picture).src = picture.getAttribute("data-src") ?? "";
    }
  }

  retouch() {
    for (const [index, tile] of this.#tiles) dress(tile, this.draw(this.entries[index]));
  }

  /** @param {number} index */
  #make(index) {
    const look = this.draw(this.entries[index]);
    const tabindex = index === this.#active ? "0" : "-1";
    const state = { tabindex, "aria-selected": String(this.#selection.has(look.key)), "aria-setsize": String(this.#size) };
    const tile = makeTile(look, index, this.#pictures.get(look.key), state);
    this.#place(tile, index);
    this.#tiles.set(index, tile);
    return tile;
  }

  /** @param {HTMLElement} tile @param {number} index */
  #place(tile, index) {
    const { columns, step } = this.#layout;
    tile.style.transform = `translate(${(index % columns) * step}px, ${Math.floor(index / columns) * step}px)`;
  }

  /** @param {Event} event */
  #at(event) {
    const tile = /** @type {HTMLElement} */ (event.target).closest?.(".tile");
    return tile ? Number(/** @type {HTMLElement} */ (tile).dataset.index) : -1;
  }

  /** @param {number} index @param {boolean} [scroll] */
  #focus(index, scroll = true) {
    const former = this.#tiles.get(this.#active);
    this.#active = index;
    former?.setAttribute("tabindex", "-1");
    if (!this.#tiles.has(index) && this.entries[index]) this.#list.append(this.#make(index));
    const tile = this.#tiles.get(index);
    tile?.setAttribute("tabindex", "0");
    tile?.focus({ preventScroll: true });
    if (scroll) tile?.scrollIntoView({ block: "nearest" });
  }

  /** Moves the focus to an entry. @param {string} key */
  reveal(key) {
    const index = this.entries.findIndex((entry) => this.draw(entry).key === key);
    if (index >= 0) this.#focus(index);
  }

  focus() {
    this.#focus(this.#active, false);
  }

  // --- selection

  /** What the list is filtered by, as acts take it; null where it is no list of a data set's images. */
  get filter() {
    const address = new URL(this.#src, location.href);
    if (!this.hasAttribute("src") || !/^\/v1\/datasets\/[^/]+\/images$/.test(address.pathname)) return null;
    const given = [...address.searchParams].filter(([name]) => name !== "limit");
    return Object.fromEntries(given.map(([name, value]) => [name, /^(unlabelled|none_of_these|excluded)$/.test(name) ? value === "true" : value]));
  }

  get count() {
    return this.#selection.count(this.#size);
  }

  get selection() {
    const { all, keys } = this.#selection;
    if (all) return { filter: this.filter, except: keys };
    return keys.length ? { images: keys } : null;
  }

  get selected() {
    return this.entries.filter((entry) => this.#selection.has(this.draw(entry).key));
  }

  /** @param {Iterable<string>} keys */
  select(keys, adding = false) {
    this.#selection.set(keys);
    this.#tell(adding);
  }

  clear() {
    if (this.count) this.select([]);
  }

  async selectAll() {
    if (!this.filter) return this.select(await this.#everything());
    this.#selection.set([], true);
    this.#tell(false);
  }

  async #everything() {
    while (this.#source.more) await this.#next();
    return this.entries.map((entry) => this.draw(entry).key);
  }

  /** @param {boolean} adding */
  #tell(adding) {
    for (const [index, tile] of this.#tiles) tile.setAttribute("aria-selected", String(this.#selection.has(this.draw(this.entries[index]).key)));
    this.dispatchEvent(new CustomEvent("selection", { bubbles: true, detail: { adding } }));
  }

  /** @param {number} index @param {{toggle?: boolean, range?: boolean}} how */
  #pick(index, { toggle = false, range = false }) {
    const keyOf = (/** @type {number} */ at) => this.draw(this.entries[at]).key;
    if (!range) {
      if (!toggle) this.#selection.set([]);
      this.#selection.toggle(keyOf(index));
      this.#anchor = index;
      return this.#tell(toggle);
    }
    const [from, to] = [Math.min(this.#anchor, index), Math.max(this.#anchor, index)];
    for (let at = from; at <= to; at++) this.#selection.add(keyOf(at));
    this.#tell(true);
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const index = this.#at(event);
    if (index < 0) return this.clear();
    this.#focus(index);
    const touch = /** @type {PointerEvent} */ (event).pointerType === "touch";
    const toggle = touch || event.ctrlKey || event.metaKey || this.hasAttribute("toggle");
    this.#pick(index, { toggle, range: event.shiftKey });
  }

  /** @param {number} index */
  #open(index) {
    const entry = this.entries[index];
    if (entry) this.dispatchEvent(new CustomEvent("open", { bubbles: true, detail: { entry } }));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { columns } = this.#layout;
    const page = Math.max(1, Math.floor(innerHeight / this.#layout.step)) * columns;
    const steps = /** @type {Record<string, number>} */ ({ ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity });
    if (event.key in steps && !event.altKey) {
      const index = Math.max(0, Math.min(this.#active + steps[event.key], this.entries.length - 1));
      this.#focus(index);
      if (event.shiftKey) this.#pick(index, { range: true });
      else this.#anchor = index;
    } else if (event.key === " ") this.#pick(this.#active, { toggle: true, range: event.shiftKey });
    else if (event.key === "Enter" && !this.hasAttribute("toggle")) this.#open(this.#active);
    else if (event.key === "Escape" && this.count) this.clear();
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) this.selectAll();
    else return;
    event.preventDefault();
  }

  /** All that a box touches is selected. @param {PointerEvent} start */
  #drag(start) {
    const base = start.ctrlKey || start.shiftKey ? this.selected.map((entry) => this.draw(entry).key) : [];
    const within = (/** @type {import("../selection.js").Box} */ box) => [...inBox(this.#layout, box)].filter((at) => at in this.entries).map((at) => this.draw(this.entries[at]).key);
    drawBox(this.#list, start, (box) => this.select([...base, ...within(box)], base.length > 0));
  }
}

customElements.define("image-grid", ImageGrid);
further.push(["Arrows", "Move among pictures"], ["Space", "Select"], ["Shift + arrows", "Select a range"], ["Ctrl + A", "Select all"], ["Enter on a picture", "Open large"], ["Esc", "Select nothing"]);

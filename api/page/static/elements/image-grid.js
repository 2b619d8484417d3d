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
//   toggle   a click adds to the selection or takes from it; the selection bar leaves such grids alone
//   empty    what is said where the list is empty
// Properties and methods
//   draw(entry)            what a tile shows; assign your own for other lists: { key, thumb, name, note, corner, state, out }
//                          (`key` is what `selection.images` holds, `state` classes of .tile, `out` why it is faded)
//   entries                the entries read so far; assign an array to show your own instead of `src`
//   selection              what is selected, as acts of /v1 take it: { images: keys }, or { filter, except } after
//                          "select all" of a list of a data set's images; null where nothing is
//   selected, filter       the selected entries that were read; the filter of a list of a data set's images
//   count                  how many are selected
//   select(keys)           selects these; selectAll(), clear()
//   update(keys, change)   puts change(entry) in the place of these entries; null takes one out
//   reveal(key)            moves the focus to an entry
//   refresh()              reads the list again and keeps the place
// Events (all bubble)
//   selection              the selection changed; detail { adding }: true where others may stay selected (ctrl, shift)
//   open                   double click or Enter; detail { entry }
import { call, make } from "../api.js";
import { complain } from "../notices.js";
import { further } from "../keys.js";

const PAGE = 200;
const AHEAD = 800;
const DRAG = 6;
const FRAME_MS = 8;
const CALM_MS = 80;

/** @typedef {{key: string, thumb?: string, name: string, note?: string, corner?: string, state?: string, out?: string}} Look */

/** The labels of an entry as people read them. @param {any} entry */
export function labelText(entry) {
  if (entry.labels?.length === 0) return "none of the labels";
  return (entry.labels ?? (entry.label ? [entry.label] : [])).join(", ");
}

export class ImageGrid extends HTMLElement {
  static observedAttributes = ["src", "total"];
  /** @type {any[]} */ #entries = [];
  /** @type {string | null} */ #cursor = null;
  #more = false;
  /** @type {Promise<void> | null} */ #loading = null;
  #round = 0;
  #list = make("ul", { class: "tiles windowed", role: "listbox", "aria-multiselectable": "true" });
  #nothing = make("p", { class: "empty" });
  /** @type {Map<number, HTMLElement>} */ #tiles = new Map();
  /** @type {Map<string, HTMLElement>} */ #pictures = new Map();
  /** @type {Set<string>} */ #selected = new Set();
  #all = false;
  /** @type {Set<string>} */ #except = new Set();
  #active = 0;
  #anchor = 0;
  #layout = { columns: 1, side: 100, step: 106 };
  #frame = 0;
  #top = 0;
  #calm = 0;
  #resize = new ResizeObserver(() => this.#measure());
  /** @type {AbortController | null} */ #listening = null;

  /** @param {any} entry @returns {Look} */
  draw = (entry) => ({
    key: entry.id ?? entry.image_id,
    thumb: entry.links?.thumb,
    name: entry.name,
    note: labelText(entry),
    corner: entry.review === "pending" ? "to review" : (entry.split ?? undefined),
    out: entry.excluded ? "excluded" : undefined,
  });

  connectedCallback() {
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    this.#list.setAttribute("aria-label", this.getAttribute("label") ?? "Pictures");
    const list = this.#list;
    list.addEventListener("click", (/** @type {MouseEvent} */ event) => this.#click(event), { signal });
    list.addEventListener("dblclick", (/** @type {MouseEvent} */ event) => this.#open(this.#at(event)), { signal });
    list.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#key(event), { signal });
    list.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => this.#drag(event), { signal });
    addEventListener("scroll", () => this.#schedule(), { capture: true, passive: true, signal });
    for (const [key, text] of /** @type {[string, string][]} */ ([["Arrows", "Move among pictures"], ["Space", "Select"], ["Shift + arrows", "Select a range"], ["Ctrl + A", "Select all"], ["Enter", "Open large"], ["Esc", "Select nothing"]]))
      if (!further.some(([known]) => known === key)) further.push([key, text]);
    if (this.hasAttribute("src")) this.#read();
  }

  disconnectedCallback() {
    this.#listening?.abort();
    this.#resize.disconnect();
  }

  /** @param {string} name @param {string | null} before @param {string | null} after */
  attributeChangedCallback(name, before, after) {
    if (!this.#listening || before === after) return;
    if (name === "src") this.#read();
    else this.#schedule();
  }

  // --- entries

  get entries() {
    return this.#entries;
  }

  set entries(entries) {
    this.#round += 1;
    this.#more = false;
    this.#take(entries);
  }

  get #size() {
    return this.#more ? Math.max(this.#entries.length, Number(this.getAttribute("total") ?? 0)) : this.#entries.length;
  }

  /** @param {number} [until] reads at least so many */
  async #read(until = 1) {
    const round = ++this.#round;
    try {
      /** @type {any[]} */
      let entries = [];
      let cursor = null;
      do {
        const page = await this.#page(cursor);
        if (round !== this.#round) return;
        entries = [...entries, ...page.data];
        cursor = page.next_cursor;
      } while (cursor && entries.length < until);
      this.#cursor = cursor;
      this.#more = cursor !== null;
      this.#take(entries);
    } catch (error) {
      complain(error, () => this.#read(until));
    }
  }

  /** @param {string | null} cursor */
  #page(cursor) {
    const address = new URL(this.getAttribute("src") ?? "", location.href);
    address.searchParams.set("limit", String(PAGE));
    if (cursor) address.searchParams.set("cursor", cursor);
    return call(address.pathname + address.search);
  }

  #next() {
    const round = this.#round;
    this.#loading ??= (async () => {
      try {
        const page = await this.#page(this.#cursor);
        if (round !== this.#round) return;
        this.#entries.push(...page.data);
        this.#cursor = page.next_cursor;
        this.#more = page.next_cursor !== null;
      } catch (error) {
        this.#more = false;
        complain(error, () => this.refresh());
      }
    })().finally(() => {
      this.#loading = null;
      this.#schedule();
    });
    return this.#loading;
  }

  /** @param {any[]} entries */
  #take(entries) {
    this.#entries = entries;
    const keys = new Set(entries.map((entry) => this.draw(entry).key));
    for (const key of this.#selected) if (!keys.has(key) && !this.#more) this.#selected.delete(key);
    this.#redraw();
  }

  refresh() {
    return this.#read(Math.max(1, ...this.#tiles.keys()));
  }

  /** @param {Iterable<string>} keys @param {(entry: any) => any} change */
  update(keys, change) {
    const wanted = new Set(keys);
    const before = this.#entries.length;
    this.#entries = this.#entries.flatMap((entry) => (wanted.has(this.draw(entry).key) ? (change(entry) ?? []) : [entry]));
    const total = Number(this.getAttribute("total"));
    if (total) this.setAttribute("total", String(total - before + this.#entries.length));
    for (const key of wanted) this.#selected.delete(key);
    this.#redraw();
    this.#tell(true);
  }

  // --- tiles

  #redraw() {
    if (!this.#list.isConnected) {
      for (const tile of /** @type {NodeListOf<HTMLElement>} */ (this.querySelectorAll("[data-image]")))
        this.#keep(tile.dataset.image ?? "", tile.querySelector("img"));
      this.replaceChildren(this.#list, this.#nothing);
      this.#resize.observe(this.#list);
    }
    const focused = this.#list.contains(document.activeElement);
    for (const tile of this.#tiles.values()) this.#keep(tile.dataset.image ?? "", tile.querySelector("img"));
    this.#list.replaceChildren();
    this.#tiles.clear();
    this.#active = Math.max(0, Math.min(this.#active, this.#entries.length - 1));
    this.#measure();
    this.#pictures.clear();
    if (focused) this.#focus(this.#active, false);
    this.#nothing.textContent = this.#entries.length ? "" : this.getAttribute("empty");
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
    const end = Math.min(this.#entries.length, Math.max(0, Math.ceil((innerHeight - top + AHEAD) / step)) * columns);
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
    if (rushes) this.#calm = window.setTimeout(() => this.#load(), CALM_MS);
    else this.#load();
    if (this.#entries.length && !this.#tiles.has(this.#active)) this.#list.append(this.#make(this.#active));
    if (this.#more && (reach > this.#entries.length || end === this.#entries.length)) this.#next();
  }

  /** Loads the pictures of the tiles; not while they rush by. */
  #load() {
    for (const tile of this.#tiles.values()) {
      const picture = tile.querySelector("img");
      if (picture && !picture.hasAttribute("src")) picture.src = picture.dataset.src ?? "";
    }
  }

  /** @param {number} index */
  #make(index) {
    const look = this.draw(this.#entries[index]);
    let picture = this.#pictures.get(look.key);
    if (!picture?.hasAttribute("src") && look.thumb)
      picture = make("img", { "data-src": look.thumb, alt: "", decoding: "async", draggable: "false", width: "192", height: "192" });
    picture?.setAttribute("draggable", "false");
    const tile = make(
      "li",
      {
        role: "option",
        class: `tile ${look.state ?? ""} ${look.out ? "out" : ""}`,
        tabindex: index === this.#active ? "0" : "-1",
        "aria-selected": String(this.#has(look.key)),
        "aria-posinset": String(index + 1),
        "aria-setsize": String(this.#size),
        "aria-label": [look.name, look.note, look.corner, look.out].filter(Boolean).join(", "),
        "data-out": look.out,
        title: look.name,
      },
      ...(picture ? [picture] : []),
    );
    tile.dataset.image = look.key;
    tile.dataset.index = String(index);
    if (look.corner) tile.append(make("span", { class: "corner" }, look.corner));
    if (look.note) tile.append(make("span", { class: "note" }, look.note));
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
    if (!this.#tiles.has(index) && this.#entries[index]) this.#list.append(this.#make(index));
    const tile = this.#tiles.get(index);
    tile?.setAttribute("tabindex", "0");
    tile?.focus({ preventScroll: true });
    if (scroll) tile?.scrollIntoView({ block: "nearest" });
  }

  /** Moves the focus to an entry. @param {string} key */
  reveal(key) {
    const index = this.#entries.findIndex((entry) => this.draw(entry).key === key);
    if (index >= 0) this.#focus(index);
  }

  focus() {
    this.#focus(this.#active, false);
  }

  // --- selection

  /** What the list is filtered by, as acts take it; null where it is no list of a data set's images. */
  get filter() {
    const address = new URL(this.getAttribute("src") ?? "", location.href);
    if (!this.hasAttribute("src") || !/^\/v1\/datasets\/[^/]+\/images$/.test(address.pathname)) return null;
    const given = [...address.searchParams].filter(([name]) => name !== "limit");
    return Object.fromEntries(given.map(([name, value]) => [name, /^(unlabelled|none_of_these|excluded)$/.test(name) ? value === "true" : value]));
  }

  get count() {
    return this.#all ? this.#size - this.#except.size : this.#selected.size;
  }

  get selection() {
    if (this.#all) return { filter: this.filter, except: [...this.#except] };
    return this.#selected.size ? { images: [...this.#selected] } : null;
  }

  get selected() {
    if (this.#all && !this.#except.size) return this.#entries;
    return this.#entries.filter((entry) => this.#has(this.draw(entry).key));
  }

  /** @param {string} key */
  #has(key) {
    return this.#all ? !this.#except.has(key) : this.#selected.has(key);
  }

  /** @param {Iterable<string>} keys */
  select(keys, adding = false) {
    this.#all = false;
    this.#selected = new Set(keys);
    this.#tell(adding);
  }

  clear() {
    if (this.count) this.select([]);
  }

  async selectAll() {
    if (this.filter) {
      this.#all = true;
      this.#except.clear();
      this.#tell(false);
    } else this.select(await this.#everything());
  }

  async #everything() {
    while (this.#more) await this.#next();
    return this.#entries.map((entry) => this.draw(entry).key);
  }

  /** @param {boolean} adding */
  #tell(adding) {
    for (const [index, tile] of this.#tiles) tile.setAttribute("aria-selected", String(this.#has(this.draw(this.#entries[index]).key)));
    this.dispatchEvent(new CustomEvent("selection", { bubbles: true, detail: { adding } }));
  }

  /** @param {number} index @param {{toggle?: boolean, range?: boolean}} how */
  async #pick(index, { toggle = false, range = false }) {
    const keyOf = (/** @type {number} */ at) => this.draw(this.#entries[at]).key;
    if (this.#all && toggle && !range) {
      if (!this.#except.delete(keyOf(index))) this.#except.add(keyOf(index));
      this.#anchor = index;
      return this.#tell(true);
    }
    const base = toggle || range ? new Set(this.#all ? await this.#everything() : this.#selected) : new Set();
    if (range) {
      const [from, to] = [Math.min(this.#anchor, index), Math.max(this.#anchor, index)];
      for (let at = from; at <= to; at++) base.add(keyOf(at));
    } else {
      if (toggle && base.has(keyOf(index))) base.delete(keyOf(index));
      else base.add(keyOf(index));
      this.#anchor = index;
    }
    this.select(base, toggle || range);
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
    const entry = this.#entries[index];
    if (entry) this.dispatchEvent(new CustomEvent("open", { bubbles: true, detail: { entry } }));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { columns } = this.#layout;
    const page = Math.max(1, Math.floor(innerHeight / this.#layout.step)) * columns;
    const steps = /** @type {Record<string, number>} */ ({ ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity });
    if (event.key in steps && !event.altKey) {
      const index = Math.max(0, Math.min(this.#active + steps[event.key], this.#entries.length - 1));
      this.#focus(index);
      if (event.shiftKey) this.#pick(index, { range: true });
      else this.#anchor = index;
    } else if (event.key === " ") this.#pick(this.#active, { toggle: true, range: event.shiftKey });
    else if (event.key === "Enter") this.#open(this.#active);
    else if (event.key === "Escape" && this.count) this.clear();
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) this.selectAll();
    else return;
    event.preventDefault();
  }

  /** Draws a box with the mouse; all that it touches is selected. @param {PointerEvent} start */
  #drag(start) {
    if (start.button || start.pointerType !== "mouse") return;
    const box = make("div", { class: "lasso" });
    const stop = new AbortController();
    const base = start.ctrlKey || start.shiftKey ? new Set(this.#selected) : new Set();
    const from = this.#point(start);
    addEventListener("pointermove", (event) => {
      const to = this.#point(event);
      if (!box.isConnected && Math.hypot(to.x - from.x, to.y - from.y) < DRAG) return;
      if (!box.isConnected) this.#list.append(box);
      const [left, right] = [Math.min(from.x, to.x), Math.max(from.x, to.x)];
      const [top, bottom] = [Math.min(from.y, to.y), Math.max(from.y, to.y)];
      Object.assign(box.style, { left: `${left}px`, top: `${top}px`, width: `${right - left}px`, height: `${bottom - top}px` });
      this.select([...base, ...this.#within(left, top, right, bottom)], base.size > 0);
      if (event.clientY < 40 || event.clientY > innerHeight - 40) this.#list.parentElement?.ownerDocument.scrollingElement?.scrollBy(0, event.clientY < 40 ? -30 : 30);
    }, { signal: stop.signal });
    const end = () => {
      stop.abort();
      if (!box.isConnected) return;
      box.remove();
      addEventListener("click", (event) => event.stopPropagation(), { capture: true, once: true });
      setTimeout(() => dispatchEvent(new Event("click"))); // takes the listener away where no click follows
    };
    addEventListener("pointerup", end, { signal: stop.signal });
    addEventListener("pointercancel", end, { signal: stop.signal });
  }

  /** @param {PointerEvent} event */
  #point(event) {
    const rect = this.#list.getBoundingClientRect();
    return { x: event.clientX - rect.left, y: event.clientY - rect.top };
  }

  /** @param {number} left @param {number} top @param {number} right @param {number} bottom */
  #within(left, top, right, bottom) {
    const { columns, side, step } = this.#layout;
    const found = [];
    const span = (/** @type {number} */ a, /** @type {number} */ b) => [Math.max(0, Math.ceil((a - side) / step)), Math.floor(b / step)];
    const [[x1, x2], [y1, y2]] = [span(left, right), span(top, bottom)];
    for (let y = y1; y <= y2; y++)
      for (let x = x1; x <= Math.min(x2, columns - 1); x++) {
        const entry = this.#entries[y * columns + x];
        if (entry) found.push(this.draw(entry).key);
      }
    return found;
  }
}

customElements.define("image-grid", ImageGrid);

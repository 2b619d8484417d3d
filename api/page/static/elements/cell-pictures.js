// The pictures behind a cell of the matrix. Links with `data-panel` open theirs here without leaving the screen; keys
// mend the label of the picture at hand and go on to the next.
import { complain, edit } from "../notices.js";
import { further } from "../keys.js";
import { swap, swapLinks } from "../swap.js";

const PANEL = "#pictures";

class CellPictures extends HTMLElement {
  /** @type {HTMLElement | null} */
  #current = null;

  connectedCallback() {
    const judge = /** @type {HTMLElement | null} */ (this.querySelector(".judge"));
    if (!judge) return;
    judge.hidden = false;
    this.addEventListener("click", this.#click);
    this.addEventListener("keydown", this.#move);
    judge.querySelector("form")?.addEventListener("submit", (event) => {
      event.preventDefault();
      const input = /** @type {HTMLInputElement} */ (judge.querySelector("input"));
      if (input.value.trim()) this.#relabel(input.value.trim());
      input.value = "";
    });
    this.#tiles.forEach((tile, index) => (tile.tabIndex = index ? -1 : 0));
  }

  /** @returns {HTMLElement[]} */
  get #tiles() {
    return [...this.querySelectorAll(".tile[data-image]")].map((each) => /** @type {HTMLElement} */ (each));
  }

  /** @param {HTMLElement} tile */
  #choose(tile) {
    this.#current?.classList.remove("selected");
    this.#current?.setAttribute("tabindex", "-1");
    this.#current = tile;
    tile.classList.add("selected");
    tile.tabIndex = 0;
    tile.focus();
    const open = /** @type {HTMLAnchorElement} */ (this.querySelector("[data-act=open]"));
    open.href = tile.getAttribute("href") ?? "";
  }

  /** @param {MouseEvent} event */
  #click = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    const target = /** @type {HTMLElement} */ (event.target);
    const tile = /** @type {HTMLElement | null} */ (target.closest(".tile[data-image]"));
    const button = /** @type {HTMLElement | null} */ (target.closest("button[data-act], button[data-label]"));
    if (tile) {
      event.preventDefault();
      this.#choose(tile);
    } else if (button?.dataset.label) this.#relabel(button.dataset.label);
    else if (button?.dataset.act === "right") this.#change({ act: "dismiss", findings: ["suspected_label"] }, "right", "Its label is right; it is not suspected any more.");
    else if (button?.dataset.act === "exclude") this.#change({ act: "exclude" }, "excluded", "Excluded.");
  };

  /** @param {KeyboardEvent} event */
  #move = (event) => {
    const step = /** @type {Record<string, number>} */ ({ ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 })[event.key];
    const tiles = this.#tiles;
    const at = tiles.indexOf(/** @type {HTMLElement} */ (event.target));
    if (!step || at < 0) return;
    event.preventDefault();
    const columns = tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length;
    const next = at + step * (event.key === "ArrowDown" || event.key === "ArrowUp" ? columns : 1);
    if (tiles[next]) this.#choose(tiles[next]);
  };

  /** @param {string} label */
  #relabel(label) {
    if (!this.hasAttribute("several")) return this.#change({ act: "relabel", label }, label, `Now ${label}.`);
    const has = JSON.parse(this.#at?.dataset.labels ?? "null")?.includes(label);
    this.#change({ act: has ? "remove_labels" : "add_labels", labels: [label] }, `${has ? "−" : "+"} ${label}`, has ? `No longer ${label}.` : `Also ${label}.`);
  }

  /** The picture at hand; before one is chosen, the first. */
  get #at() {
    if (!this.#current) {
      const first = this.#tiles.find((tile) => !tile.classList.contains("out"));
      if (first) this.#choose(first);
    }
    return this.#current;
  }

  /** @param {Record<string, unknown>} act @param {string} word @param {string} text */
  async #change(act, word, text) {
    const tile = this.#at;
    if (!tile) return;
    let marked = false;
    const changed = () => this.#mark(tile, (marked = !marked) ? word : "");
    await edit(tile.dataset.dataset ?? "", { ...act, images: [tile.dataset.image] }, text, changed);
    if (marked) this.#next(tile);
  }

  /** @param {HTMLElement} tile @param {string} word */
  #mark(tile, word) {
    tile.classList.toggle("out", Boolean(word));
    tile.dataset.out = word;
    const left = this.#tiles.filter((each) => !each.classList.contains("out")).length;
    const status = this.querySelector(".judge [role=status]");
    if (status) status.textContent = left ? `${left} left` : "All of these are looked at.";
  }

  /** @param {HTMLElement} tile */
  #next(tile) {
    const tiles = this.#tiles;
    const at = tiles.indexOf(tile);
    const next = [...tiles.slice(at + 1), ...tiles.slice(0, at)].find((each) => !each.classList.contains("out"));
    if (next && tile === this.#current) this.#choose(next);
  }
}

customElements.define("cell-pictures", CellPictures);
further.push(["Arrows", "Another picture of the cell"]);

/** @param {string} address */
async function open(address) {
  try {
    if (!(await swap(address, [PANEL]))) return;
  } catch (error) {
    return complain(error, () => open(address));
  }
  const shown = new URL(address, location.href).search;
  for (const link of document.querySelectorAll("a[data-panel]")) {
    if (/** @type {HTMLAnchorElement} */ (link).search === shown && link.closest("td, li")) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

swapLinks("a[data-panel]", async (address) => {
  const back = address === location.href;
  await open(address);
  if (!back && matchMedia("(max-width: 60rem)").matches) document.querySelector(PANEL)?.scrollIntoView();
});

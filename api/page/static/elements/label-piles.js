// Piles of pictures to be labelled: a key accepts them, and what is left is sorted again by itself. A click takes a picture
// out of its pile; of two labels it gives the other one first. Around what the server renders in #piles and #progress.
import { call, ended, make, percent, plural } from "../api.js";
import { fixedOrder } from "../label-keys.js";
import { complain, edit, notify } from "../notices.js";
import { swap } from "../swap.js";

/** @typedef {import("./image-grid.js").ImageGrid} ImageGrid */

const NEW_LABELS = 8; // given one by one since the piles were sorted, before they are sorted again
const KEYS = 9;
const TAKES_OUT = "[data-pile]:has(image-grid[toggle])";
const MOST_NAMED = 10_000; // images that one act may name

class LabelPiles extends HTMLElement {
  #new = 0;
  #sorting = false;
  #stale = false;
  /** What clicks made of pictures: another label, or null, taken out. @type {WeakMap<Element, Map<string, string | null>>} */
  #clicked = new WeakMap();
  /** @type {AbortController | null} */ #listening = null;

  connectedCallback() {
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    this.addEventListener("selection", (event) => this.#takeOut(event), { signal });
    this.addEventListener("submit", (event) => this.#submit(event), { signal });
    document.addEventListener("click", (event) => {
      if (/** @type {Element} */ (event.target).closest?.("[data-all]")) this.#accept([...this.querySelectorAll("[data-counts]")].map((pile) => [pile, pile.getAttribute("data-label") ?? ""]));
    }, { signal });
    document.addEventListener("submit", (event) => this.#sortByHand(event), { signal });
    document.addEventListener("edited", (event) => this.#given(/** @type {CustomEvent} */ (event).detail), { signal });
    document.addEventListener("job", (event) => this.#hear(/** @type {CustomEvent} */ (event).detail), { signal });
    this.#prepare();
    if (this.hasAttribute("first")) this.#sort();
    const running = this.querySelector("[data-sorting]")?.getAttribute("data-sorting");
    if (running) this.#follow({ id: running, done: false });
  }

  disconnectedCallback() {
    this.#listening?.abort();
  }

  get #dataset() {
    return this.getAttribute("dataset") ?? "";
  }

  get #labels() {
    const known = [...this.querySelectorAll("#labels option")].map((option) => /** @type {HTMLOptionElement} */ (option).value);
    return fixedOrder(this.#dataset, known);
  }

  /** What tiles show; and number keys: each label's own pile, and before there are such piles, the first group. */
  #prepare() {
    const labels = this.#labels.slice(0, KEYS);
    for (const pile of this.querySelectorAll('[data-kind="label"]')) {
      const at = labels.indexOf(pile.getAttribute("data-label") ?? "");
      const button = pile.querySelector("[data-accept]");
      if (at >= 0) this.#give(button, String(at + 1));
    }
    for (const grid of /** @type {NodeListOf<ImageGrid>} */ (this.querySelectorAll("image-grid"))) {
      const doubtful = grid.closest('[data-kind="doubtful"]');
      const hand = Number(doubtful?.getAttribute("data-counts"));
      grid.draw = (entry) => {
        const look = { key: entry.image_id, thumb: entry.links.thumb, name: entry.name };
        const given = this.#clicked.get(grid)?.get(entry.image_id);
        if (given !== undefined) return { ...look, note: given ?? undefined, state: given ? "other" : "", out: given === null ? "left out" : undefined };
        if (!doubtful || !entry.label) return look;
        return { ...look, note: `${entry.label}? ${percent(entry.score)}`, state: hand && !grid.entries.slice(0, hand).includes(entry) ? "later" : "" };
      };
    }
    this.#count();
    const group = this.querySelector('[data-kind="cluster"]');
    const field = group?.querySelector('input[name="label"]');
    if (!group || !field) return;
    field.setAttribute("data-key", "n");
    field.setAttribute("placeholder", "Name it  N");
    if (document.activeElement === document.body) /** @type {HTMLElement} */ (field).focus({ preventScroll: true }); // to type at once
    const choices = labels.map((label, at) => {
      const button = make("button", { type: "button", class: "small", onclick: () => this.#accept([[group, label]]) }, label, " ");
      this.#give(button, String(at + 1));
      return button;
    });
    group.querySelector("form")?.prepend(...choices);
  }

  /** @param {Element | null} button @param {string} key */
  #give(button, key) {
    button?.setAttribute("data-key", key);
    button?.append(" ", make("kbd", {}, key));
  }

  /** @param {Event} event */
  #takeOut(event) {
    const grid = /** @type {ImageGrid} */ (event.target);
    if (!grid.hasAttribute("toggle")) return;
    event.stopPropagation(); // what is taken out is not to be labelled by the bar
    const { adding } = /** @type {CustomEvent} */ (event).detail;
    const [before, after, chosen] = [this.#clicked.get(grid), new Map(), new Set(grid.selection?.images)];
    const labels = this.#labels;
    for (const { image_id: id, label } of grid.entries) {
      const former = before?.get(id);
      if (chosen.has(id)) after.set(id, former !== undefined ? former : label && labels.length === 2 ? labels.find((each) => each !== label) : null);
      else if (adding && former) after.set(id, null); // it had the other label: now it has none
    }
    this.#clicked.set(grid, after);
    if (after.size > chosen.size) return grid.select(after.keys(), true);
    grid.retouch();
    this.#count();
  }

  /** Say how many the buttons take: all but those that were taken out. */
  #count() {
    let sum = 0;
    for (const pile of this.querySelectorAll("[data-pile]")) {
      const out = [...(this.#clicked.get(pile.querySelector("image-grid") ?? pile)?.values() ?? [])].filter((label) => label === null);
      const left = Number(pile.getAttribute("data-counts") ?? pile.getAttribute("data-count")) - out.length;
      const button = pile.querySelector("[data-accept]");
      const key = button?.querySelector("kbd");
      button?.replaceChildren(`${pile.getAttribute("data-kind") === "cluster" ? "Label" : "Accept"} ${left.toLocaleString("en")}`, ...(key ? [" ", key] : []));
      if (pile.hasAttribute("data-counts")) sum += left;
    }
    const all = document.querySelector("[data-all] [data-left]");
    if (all) all.textContent = sum.toLocaleString("en");
  }

  /** @param {SubmitEvent} event */
  #submit(event) {
    const form = /** @type {HTMLFormElement} */ (event.target);
    const pile = form.closest("[data-pile]");
    if (!pile) return;
    event.preventDefault();
    const label = String(new FormData(form).get("label") ?? "").trim();
    if (label) this.#accept([[pile, label]]);
  }

  /** Label piles, but for what was taken out of them; of the doubtful the first, as suggested. @param {[Element, string][]} chosen */
  async #accept(chosen) {
    const piles = chosen.filter(([pile]) => !pile.hasAttribute("aria-busy"));
    /** @type {any[]} */
    const acts = [];
    let sum = 0;
    for (const [pile, label] of piles) {
      const grid = /** @type {ImageGrid} */ (pile.querySelector("image-grid"));
      const clicked = this.#clicked.get(grid) ?? new Map();
      const count = Number(pile.getAttribute("data-count"));
      const seen = label ? grid.entries : grid.entries.slice(0, Number(pile.getAttribute("data-counts")));
      // What was seen is what is labelled: a round that has ended meanwhile may have put others into this pile.
      const whole = label && (seen.length < count || count > MOST_NAMED);
      const named = whole ? grid.entries.filter((entry) => clicked.has(entry.image_id)) : seen;
      const labels = named.map(({ image_id: image, label: suggested }) => ({ image, label: clicked.has(image) ? clicked.get(image) : label || suggested })).filter((each) => each.label);
      if (whole) acts.push({ act: "relabel", label, filter: { pile: pile.getAttribute("data-pile") }, ...(clicked.size ? { except: [...clicked.keys()] } : {}) });
      for (const [given, some] of Map.groupBy(labels, (each) => each.label)) acts.push({ act: "relabel", label: given, images: some.map((each) => each.image) });
      sum += labels.length + (whole ? count - clicked.size : 0);
    }
    if (!piles.length) return;
    if (!sum) return notify("Everything was taken out.");
    for (const [pile] of piles) pile.setAttribute("aria-busy", "true");
    const given = [...new Set(acts.map((act) => act.label))].sort().join(", ");
    if (!(await this.#edit(acts, `${plural(sum, "picture")} labelled ${given}.`))) for (const [pile] of piles) pile.removeAttribute("aria-busy");
  }

  /** @param {Record<string, unknown> | Record<string, unknown>[]} acts @param {string} text */
  async #edit(acts, text) {
    this.setAttribute("busy", "");
    const made = await edit(this.#dataset, acts, text, () => this.#show());
    if (made) this.#sort();
    else this.removeAttribute("busy");
    return made;
  }

  /** What was labelled one by one, by the bar. @param {{images?: string[]}} act */
  #given(act) {
    if (this.querySelector(".pile[aria-busy]")) return; // a whole pile, after which it is sorted in any case
    this.#new += act.images?.length ?? 0;
    if (this.#new >= NEW_LABELS) this.#sort();
  }

  /** @param {SubmitEvent} event */
  #sortByHand(event) {
    if (!(/** @type {Element} */ (event.target).querySelector("[data-sort]"))) return;
    event.preventDefault();
    this.#sort(true);
  }

  /** Sort what is left, as soon as there are two labels to learn from, or for the first time. @param {boolean} [asked] */
  async #sort(asked = false) {
    this.#new = 0;
    this.#stale = true; // what is being sorted already does not know of the latest labels
    if (this.#sorting) return;
    this.#sorting = true;
    this.setAttribute("busy", "");
    try {
      while (this.#stale) {
        this.#stale = false;
        await this.#round(asked);
      }
    } catch (error) {
      complain(error, () => this.#sort(asked));
    } finally {
      this.#sorting = false;
      this.removeAttribute("busy");
    }
  }

  /** @param {boolean} asked */
  async #round(asked) {
    const known = (await call(`/v1/datasets/${this.#dataset}`)).classes.filter((/** @type {any} */ each) => each.label !== null);
    const first = !this.querySelector("[data-pile]");
    if (!asked && !first && known.length < 2) return;
    const job = await call(`/v1/datasets/${this.#dataset}/suggestions`, { json: {} });
    if (first) await this.#show();
    await this.#follow(job);
  }

  /** @param {{id: string, done: boolean}} job */
  async #follow(job) {
    const { status, error } = await ended(job);
    if (status === "failed") notify(`${error?.detail ?? "Sorting failed."} ${error?.hint ?? ""}`, { kind: "rose", actions: { "Try again": () => this.#sort(true) } });
    await this.#show();
  }

  /** @param {{kind: string, job: any}} news */
  #hear({ kind, job }) {
    const bar = this.querySelector(`[data-sorting="${job.id}"] progress`);
    if (bar && kind === "progress" && job.progress?.fraction) /** @type {HTMLProgressElement} */ (bar).value = job.progress.fraction;
  }

  async #show() {
    const place = scrollY;
    await swap(location.href, ["#piles", "#progress", "selection-bar", "[data-fresh]", ".rail nav"]);
    this.#prepare();
    scrollTo({ top: place });
  }
}

customElements.define("label-piles", LabelPiles);

// Piles of pictures to be labelled: a click takes a picture out of a pile, a key accepts the pile, and what is left is
// sorted again by itself. Around what the server renders in #piles and #progress.
import { call, ended, make, percent, plural } from "../api.js";
import { fixedOrder } from "../label-keys.js";
import { complain, edit, notify } from "../notices.js";
import { swap } from "../swap.js";

/** @typedef {import("./image-grid.js").ImageGrid} ImageGrid */

const NEW_LABELS = 8; // given one by one since the piles were sorted, before they are sorted again
const KEYS = 9;
const TAKES_OUT = '[data-pile]:not([data-kind="doubtful"])';
const MOST_NAMED = 10_000; // images that one act may name

class LabelPiles extends HTMLElement {
  #new = 0;
  #sorting = false;
  #stale = false;
  /** @type {AbortController | null} */ #listening = null;

  connectedCallback() {
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    this.addEventListener("selection", (event) => this.#takeOut(event), { signal });
    this.addEventListener("submit", (event) => this.#submit(event), { signal });
    document.addEventListener("click", (event) => {
      const button = /** @type {Element} */ (event.target).closest?.("[data-suggested], [data-all]");
      if (button?.hasAttribute("data-all")) this.#accept([...this.querySelectorAll('[data-kind="label"]')].map((pile) => [pile, pile.getAttribute("data-label") ?? ""]));
      else if (button) this.#takeSuggested(Number(button.getAttribute("data-suggested")));
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
    this.#count();
    const hand = Number(this.querySelector("[data-suggested]")?.getAttribute("data-suggested"));
    for (const grid of /** @type {NodeListOf<ImageGrid>} */ (this.querySelectorAll("image-grid"))) {
      const doubtful = grid.closest('[data-kind="doubtful"]');
      grid.draw = (entry) => {
        const look = { key: entry.image_id, thumb: entry.links.thumb, name: entry.name };
        if (!doubtful || !entry.label) return look;
        return { ...look, note: `${entry.label}? ${percent(entry.score)}`, state: hand && !grid.entries.slice(0, hand).includes(entry) ? "later" : "" };
      };
    }
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
    if (!(/** @type {Element} */ (event.target).closest(TAKES_OUT))) return;
    event.stopPropagation(); // what is taken out is not to be labelled by the bar
    this.#count();
  }

  /** Say how many the buttons take: all but those that were taken out. */
  #count() {
    let sum = 0;
    for (const pile of this.querySelectorAll(TAKES_OUT)) {
      const left = Number(pile.getAttribute("data-count")) - (/** @type {ImageGrid | null} */ (pile.querySelector("image-grid"))?.count ?? 0);
      const button = pile.querySelector("[data-accept]");
      const key = button?.querySelector("kbd");
      button?.replaceChildren(`${pile.getAttribute("data-kind") === "cluster" ? "Label" : "Accept"} ${left.toLocaleString("en")}`, ...(key ? [" ", key] : []));
      sum += left;
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

  /** Label piles, but for what was taken out of them. @param {[Element, string][]} chosen */
  async #accept(chosen) {
    const piles = chosen.filter(([pile]) => !pile.hasAttribute("aria-busy"));
    const acts = [];
    let sum = 0;
    for (const [pile, label] of piles) {
      const grid = /** @type {ImageGrid | null} */ (pile.querySelector("image-grid"));
      const out = grid?.selection?.images ?? [];
      const count = Number(pile.getAttribute("data-count")) - out.length;
      // What was seen is what is labelled: a round that has ended meanwhile may have put others into this pile.
      const images = grid?.entries.map((entry) => entry.image_id).filter((id) => !out.includes(id));
      const whole = { filter: { pile: pile.getAttribute("data-pile") }, ...(out.length ? { except: out } : {}) };
      if (count) acts.push({ act: "relabel", label, ...(images?.length === count && count <= MOST_NAMED ? { images } : whole) });
      sum += count;
    }
    if (!piles.length) return;
    if (!acts.length) return notify("Everything was taken out.");
    for (const [pile] of piles) pile.setAttribute("aria-busy", "true");
    const text = `${plural(sum, "picture")} labelled ${acts.map((act) => act.label).join(", ")}.`;
    if (!(await this.#edit(acts, text))) for (const [pile] of piles) pile.removeAttribute("aria-busy");
  }

  /** Label the first doubtful pictures as suggested; what is wrong among them was labelled by key before. @param {number} hand */
  async #takeSuggested(hand) {
    const grid = /** @type {ImageGrid | null} */ (this.querySelector('[data-kind="doubtful"] image-grid'));
    const labels = (grid?.entries ?? []).slice(0, hand).filter((entry) => entry.label).map((entry) => ({ image: entry.image_id, label: entry.label }));
    if (labels.length) await this.#edit({ act: "accept_labels", labels }, `${plural(labels.length, "picture")} labelled as suggested.`);
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

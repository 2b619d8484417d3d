// The results of a batch: live while it runs, filtered in place, opened large, corrected many at a time.
import { make, percent } from "../api.js";
import { complain } from "../notices.js";
import { swap, swapLinks } from "../swap.js";
import { datasetOf, teach } from "../teach.js";

/** @typedef {import("./image-grid.js").ImageGrid} ImageGrid */

const PARTS = ["#head", "#state", "#filters", "#bounds", "#none", "#opened"];
const PAUSE = 1500; // between two renewals of a batch that runs
const KEYS = 9;
const REFUSALS = /** @type {Record<string, string>} */ ({ none_of_these: "None of these", below_threshold: "Not sure enough" });

/** @param {any} entry what a tile shows of a result @param {string} job */
function look(entry, job) {
  const key = String(entry.seq);
  if (entry.status === "errored") return { key, name: entry.custom_id, note: "Unreadable", out: entry.error?.title ?? "unreadable" };
  if (entry.status !== "succeeded") return { key, name: entry.custom_id, note: entry.status };
  return {
    key,
    name: entry.custom_id,
    thumb: `/v1/batches/${job}/results/${key}/content?variant=thumb`,
    note: REFUSALS[entry.abstain_reason] ?? entry.labels?.join(", ") ?? entry.decision,
    corner: entry.abstain_reason === "none_of_these" ? undefined : percent(entry.score),
    state: entry.abstain_reason === "none_of_these" ? "strange" : entry.abstained ? "unsure" : "",
  };
}

class BatchResults extends HTMLElement {
  #renewed = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #later;

  get #job() {
    return this.getAttribute("job") ?? "";
  }

  get #grid() {
    return /** @type {ImageGrid} */ (this.querySelector("image-grid"));
  }

  get #dialog() {
    return /** @type {HTMLDialogElement} */ (document.getElementById("large"));
  }

  async connectedCallback() {
    document.addEventListener("job", (event) => {
      if (/** @type {CustomEvent} */ (event).detail.job.id === this.#job) this.#soon();
    });
    if (!this.#grid) return; // the results were deleted
    await customElements.whenDefined("image-grid");
    this.#grid.draw = (entry) => look(entry, this.#job);
    swapLinks("a[data-swap]", (address) => this.#show(address));
    this.addEventListener("input", (event) => this.#bound(event));
    this.addEventListener("change", (event) => /** @type {HTMLElement} */ (event.target).closest("#bounds") && this.#apply());
    this.addEventListener("open", (event) => this.#open(/** @type {CustomEvent} */ (event).detail.entry.seq));
    this.addEventListener("selection", () => this.#selection());
    this.addEventListener("click", (event) => this.#click(event));
    this.addEventListener("submit", (event) => this.#typed(event));
    this.#dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.#close();
    });
    this.#swapped();
  }

  // --- what is shown

  /** @param {string} address */
  async #show(address) {
    try {
      if (await swap(address, PARTS)) this.#swapped();
    } catch (error) {
      complain(error, () => this.#show(address));
    }
  }

  #swapped() {
    const opened = Boolean(document.getElementById("opened")?.childElementCount);
    if (opened && !this.#dialog.matches(":modal")) {
      this.#dialog.close();
      this.#dialog.showModal();
    } else if (!opened) this.#dialog.close();
  }

  /** Renew a batch that runs, not too often. */
  #soon() {
    clearTimeout(this.#later);
    const wait = Math.max(0, this.#renewed + PAUSE - Date.now());
    this.#later = setTimeout(async () => {
      this.#renewed = Date.now();
      if (this.querySelector("#bounds :active")) return this.#soon(); // a slider is being moved
      await this.#show(location.href);
      if (!this.#grid.count) this.#grid.refresh();
    }, wait);
  }

  // --- thresholds and order

  /** @param {Event} event */
  #bound(event) {
    const input = /** @type {HTMLInputElement} */ (event.target);
    if (!input.matches("#bounds input[type=range]")) return;
    const output = input.nextElementSibling;
    if (output) output.textContent = `${Math.round(100 * Number(input.value))}%`;
    clearTimeout(this.#later);
    this.#later = setTimeout(() => this.#counts(), 120);
  }

  get #address() {
    const form = /** @type {HTMLFormElement} */ (document.getElementById("bounds"));
    return `${form.getAttribute("action")}?${new URLSearchParams(/** @type {any} */ (new FormData(form)))}`;
  }

  /** While a slider moves only the counts follow. */
  async #counts() {
    await swap(this.#address, ["#filters"], { keep: true }).catch(complain);
  }

  #apply() {
    clearTimeout(this.#later);
    return this.#show(this.#address);
  }

  // --- one result, large

  /** @param {number} seq */
  #open(seq) {
    const address = new URL(location.href);
    address.searchParams.set("item", String(seq));
    return this.#show(address.href);
  }

  #close() {
    const address = new URL(location.href);
    const seq = address.searchParams.get("item");
    address.searchParams.delete("item");
    history.pushState(null, "", address);
    document.getElementById("opened")?.replaceChildren();
    this.#dialog.close();
    if (seq) this.#grid.focus();
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const step = target.closest("[data-step]")?.getAttribute("data-step");
    if (target.closest("[data-clear]")) this.#grid.clear();
    else if (target.closest("[data-close]")) {
      event.preventDefault();
      this.#close();
    } else if (step) {
      const seq = Number(new URLSearchParams(location.search).get("item"));
      const entries = this.#grid.entries;
      const next = entries[entries.findIndex((entry) => entry.seq === seq) + Number(step)];
      if (next) this.#open(next.seq);
    }
  }

  // --- many results, corrected

  #selection() {
    const form = /** @type {HTMLFormElement} */ (document.getElementById("correct"));
    const count = this.#grid.count;
    form.hidden = !count;
    document.documentElement.classList.toggle("selecting", count > 0);
    if (!count) return;
    const text = form.querySelector("b");
    if (text) text.textContent = `${count.toLocaleString("en")} selected. They are:`;
    const labels = /** @type {string[]} */ (JSON.parse(form.getAttribute("data-labels") ?? "[]")).slice(0, KEYS);
    const keys = labels.map((label, at) => make("button", { type: "button", "data-key": String(at + 1), "data-key-label": `Correct to ${label}`, onclick: () => this.#correct(label) }, label, " ", make("kbd", {}, String(at + 1))));
    form.querySelector("[data-keys]")?.replaceChildren(...keys);
  }

  /** @param {SubmitEvent} event */
  #typed(event) {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (form.id !== "correct") return;
    event.preventDefault();
    const input = /** @type {HTMLInputElement} */ (form.querySelector("input[type=text]"));
    if (!input.value.trim()) return;
    this.#correct(input.value.trim());
    input.value = "";
  }

  /** @param {string} label */
  async #correct(label) {
    const form = /** @type {HTMLFormElement} */ (document.getElementById("correct"));
    const seqs = this.#grid.selected.map((entry) => entry.seq);
    if (await teach(this.#job, seqs, label, datasetOf(form))) this.#grid.clear();
  }
}

customElements.define("batch-results", BatchResults);

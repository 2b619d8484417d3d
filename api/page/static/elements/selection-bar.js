// What can be done with the pictures that are selected in the grids of a screen: label, exclude, split, select all.
//
//   <selection-bar dataset="ds_1" kind="single_label" labels='["cat", "dog"]'></selection-bar>
//
// It listens to the events `selection` of all grids on the screen, and brings the grids up to date after an act.
import { make, plural } from "../api.js";
import { fixedOrder } from "../label-keys.js";
import { edit, notify } from "../notices.js";
import { freshen } from "../swap.js";

/** @typedef {import("./image-grid.js").ImageGrid} ImageGrid */

const SHOWN = 9;
const SPLITS = { train: "Train", valid: "Validation", test: "Test", "": "Drawn by the training" };

class SelectionBar extends HTMLElement {
  /** @type {string[]} */ #labels = [];
  #text = make("b", { role: "status" });
  #keys = make("span", { class: "acts" });
  #exclude = make("button", { type: "button", "data-key": "x" });
  #open = make("button", { type: "button", "data-key-label": "Open large" }, "Open");
  #all = make("button", { type: "button" });
  #field = make("input", { type: "text", "aria-label": "Label for the selection", placeholder: "Type a label  N", list: "known-labels", maxlength: "200", autocomplete: "off", "data-key": "n", "data-key-label": "Type a label" });
  #known = make("datalist", { id: "known-labels" });
  /** @type {AbortController | null} */ #listening = null;

  connectedCallback() {
    this.#labels = fixedOrder(this.datasetId, JSON.parse(this.getAttribute("labels") ?? "[]"));
    const split = make("details", { class: "menu up" }, make("summary", { class: "button", "data-key": "s", "data-key-label": "Set the split" }, "Split ", make("kbd", {}, "S")));
    const choices = Object.entries(SPLITS).map(([value, name]) => make("button", { type: "button", onclick: () => (split.removeAttribute("open"), this.#split(value || null, name)) }, name));
    split.append(make("div", { class: "stack tight" }, ...choices));
    split.addEventListener("toggle", () => split.open && choices[0].focus());
    this.#exclude.addEventListener("click", () => this.#leaveOut());
    this.#open.addEventListener("click", () => {
      const grid = this.#grids.find((each) => each.count);
      grid?.dispatchEvent(new CustomEvent("open", { bubbles: true, detail: { entry: grid.selected[0] } }));
    });
    this.#all.addEventListener("click", () => this.#current?.selectAll());
    this.#field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Escape") this.#current?.focus();
      if (event.key !== "Enter" || !this.#field.value.trim()) return;
      event.preventDefault();
      this.#label(this.#field.value.trim());
      this.#field.value = "";
    });
    const none = make("button", { type: "button", "data-key": "Escape", "aria-label": "Select nothing", title: "Select nothing (Esc)", onclick: () => this.#grids.forEach((grid) => grid.clear()) }, "✕");
    this.replaceChildren(make("div", { class: "toolbar" }, this.#text, this.#all, this.#keys, this.#field, this.#known, this.#exclude, split, this.#open, none));
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    document.addEventListener("selection", (event) => this.#follow(/** @type {CustomEvent} */ (event)), { signal });
    document.addEventListener("keydown", (event) => {
      const elsewhere = document.activeElement && document.activeElement !== document.body && document.activeElement.id !== "main";
      if (event.defaultPrevented || elsewhere || event.key !== "a" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.#current?.selectAll();
    }, { signal });
    this.#show();
  }

  disconnectedCallback() {
    this.#listening?.abort();
  }

  get datasetId() {
    return this.getAttribute("dataset") ?? "";
  }

  get #multi() {
    return this.getAttribute("kind") === "multi_label";
  }

  get #grids() {
    return /** @type {ImageGrid[]} */ ([...document.querySelectorAll("image-grid:not([toggle])")]);
  }

  /** The grid that is worked in: with a selection, else with the focus, else the first. */
  get #current() {
    const grids = this.#grids;
    return grids.find((grid) => grid.count) ?? grids.find((grid) => grid.contains(document.activeElement)) ?? grids[0];
  }

  /** @param {CustomEvent} event */
  #follow(event) {
    const grid = /** @type {ImageGrid} */ (event.target);
    if (grid.count && !event.detail.adding) for (const other of this.#grids) if (other !== grid) other.clear();
    this.#show();
  }

  #show() {
    const count = this.#count;
    this.hidden = !count;
    document.documentElement.classList.toggle("selecting", count > 0);
    if (!count) return;
    this.#text.textContent = `${count.toLocaleString("en")} selected`;
    const current = this.#current;
    const of = Math.max(Number(current.getAttribute("total") ?? 0), current.entries.length);
    this.#all.textContent = `All ${of.toLocaleString("en")}`;
    this.#all.hidden = !current.filter || count >= of;
    const keys = this.#labels.slice(0, SHOWN).map((label, at) => make("button", { type: "button", "data-key": String(at + 1), "data-key-label": `Label: ${label}`, onclick: () => this.#label(label) }, make("span", { class: "name" }, label), make("kbd", {}, String(at + 1))));
    if (this.#selected.some((entry) => entry.labels)) keys.push(make("button", { type: "button", "data-key": "0", onclick: () => this.#unlabel() }, "No label ", make("kbd", {}, "0")));
    this.#keys.replaceChildren(...keys);
    this.#known.replaceChildren(...this.#labels.map((label) => make("option", { value: label })));
    this.#exclude.replaceChildren(this.#restores ? "Restore " : "Exclude ", make("kbd", {}, "X"));
    this.#open.hidden = count !== 1;
  }

  get #count() {
    return this.#grids.reduce((sum, grid) => sum + grid.count, 0);
  }

  get #selected() {
    return this.#grids.filter((grid) => grid.count).flatMap((grid) => grid.selected);
  }

  get #restores() {
    const selected = this.#selected;
    return selected.length > 0 && selected.every((entry) => entry.excluded);
  }

  /** @param {string} label */
  #label(label) {
    if (!this.#labels.includes(label)) this.#labels = fixedOrder(this.datasetId, [...this.#labels, label]);
    if (!this.#multi) return this.#act({ act: "relabel", label }, `${this.#what} labelled ${label}.`, (entry) => ({ ...entry, label, labels: [label] }));
    const has = this.#selected.every((entry) => entry.labels?.includes(label));
    const rest = (/** @type {any} */ entry) => (entry.labels ?? []).filter((/** @type {string} */ each) => each !== label);
    if (has) return this.#act({ act: "remove_labels", labels: [label] }, `${label} removed from ${this.#what}.`, (entry) => ({ ...entry, labels: rest(entry) }));
    return this.#act({ act: "add_labels", labels: [label] }, `${label} added to ${this.#what}.`, (entry) => ({ ...entry, labels: [...rest(entry), label].sort() }));
  }

  #unlabel() {
    const nothing = this.#multi ? { labels: null } : { label: null };
    return this.#act({ act: "relabel", ...nothing }, `Label removed from ${this.#what}.`, (entry) => ({ ...entry, label: null, labels: null }));
  }

  #leaveOut() {
    const restores = this.#restores;
    const text = restores ? `${this.#what} restored.` : `${this.#what} excluded from training. The files are kept.`;
    return this.#act({ act: restores ? "restore" : "exclude" }, text, (entry) => ({ ...entry, excluded: !restores }));
  }

  /** @param {string | null} split @param {string} name */
  #split(split, name) {
    return this.#act({ act: "split", split }, `Split of ${this.#what}: ${name}.`, (entry) => ({ ...entry, split }));
  }

  get #what() {
    return plural(this.#count, "picture");
  }

  /** @param {Record<string, unknown>} act @param {string} text @param {(entry: any) => any} change */
  async #act(act, text, change) {
    const chosen = this.#grids.filter((grid) => grid.count);
    const current = chosen[0];
    if (!current) return;
    const selections = chosen.map((grid) => /** @type {any} */ (grid.selection));
    const whole = selections.find((selection) => selection.filter);
    if (whole && chosen.length > 1) return notify("Select all pictures of one column only.", { kind: "rose" });
    const keys = whole ? [] : selections.flatMap((selection) => selection.images);
    let done = false;
    await edit(this.datasetId, { ...act, ...(whole ?? { images: keys }) }, text, () => {
      for (const grid of this.#grids)
        if (done || whole || !chosen.includes(grid)) grid.refresh();
        else grid.update(keys, (entry) => ((entry = change(entry)), meets(entry, grid.filter ?? {}) ? entry : null));
      if (whole) chosen.forEach((grid) => grid.clear());
      done = true;
      freshen();
    });
    current.focus();
  }
}

/** @param {any} entry @param {any} filter */
function meets(entry, filter) {
  return (
    (filter.label === undefined || entry.labels?.includes(filter.label)) &&
    (!filter.unlabelled || !entry.labels) &&
    (!filter.none_of_these || entry.labels?.length === 0) &&
    (filter.split === undefined || (entry.split ?? "unassigned") === filter.split) &&
    (filter.excluded === undefined || entry.excluded === filter.excluded)
  );
}

customElements.define("selection-bar", SelectionBar);

// Takes files, a folder or a zip, by a drop anywhere on the window or by a button, and sends them into a data set.
//
//   <drop-zone dataset="ds_1" kind="single_label" name="pets">… a form for browsers without script …</drop-zone>
//   <drop-zone create>…</drop-zone>       makes a data set named after what was dropped, and goes there
//
// With the attribute `primary` its first button is the main act of the screen.
import { Problem, call, make, plural } from "../api.js";
import { complain } from "../notices.js";
import { Sending, sort } from "../sending.js";
import { freshen } from "../swap.js";
import { chosenIn, dropped } from "../uploads.js";

/** @typedef {import("../uploads.js").Chosen} Chosen */
/** @typedef {import("../sending.js").Placement} Placement */

const LISTED = 100;
const TOLD_MS = 250;

class DropZone extends HTMLElement {
  #panel = make("section", { class: "card sending", "aria-label": "Sending pictures", hidden: true });
  /** @type {Sending | null} */ #sending = null;
  #veil = make("div", { class: "veil", hidden: true });
  #depth = 0;
  #due = 0;
  #stop = new AbortController();

  connectedCallback() {
    const pick = (/** @type {boolean} */ folder) => {
      const input = make("input", { type: "file", multiple: true, webkitdirectory: folder });
      input.addEventListener("change", () => this.#take(chosenIn(input)));
      input.click();
    };
    const primary = this.hasAttribute("primary") ? "primary" : "";
    const acts = make("div", { class: "acts" },
      make("button", { type: "button", class: primary, "data-key": "f", onclick: () => pick(true) }, "Add a folder ", make("kbd", {}, "F")),
      make("button", { type: "button", onclick: () => pick(false) }, "Add files or a zip"));
    this.replaceChildren(acts, this.#panel, this.#veil);
    this.#veil.textContent = this.hasAttribute("create") ? "Drop to make a data set of it" : `Drop to add to ${this.getAttribute("name") ?? "this data set"}`;
    const { signal } = this.#stop;
    const carries = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") && !this.#sending;
    addEventListener("dragenter", (event) => carries(event) && (this.#veil.hidden = !++this.#depth), { signal });
    addEventListener("dragleave", (event) => carries(event) && (this.#veil.hidden = !(this.#depth = Math.max(0, this.#depth - 1))), { signal });
    addEventListener("dragover", (event) => carries(event) && event.preventDefault(), { signal });
    addEventListener("drop", (event) => {
      this.#veil.hidden = true;
      this.#depth = 0;
      if (!event.dataTransfer || !carries(event)) return;
      event.preventDefault();
      this.#say("Reading the folder…");
      dropped(event.dataTransfer).then((found) => this.#take(found), (error) => (complain(error), this.#end(null)));
    }, { signal });
    addEventListener("beforeunload", (event) => this.#sending && event.preventDefault(), { signal });
  }

  disconnectedCallback() {
    this.#stop.abort();
  }

  /** @param {Chosen[]} found */
  async #take(found) {
    if (this.#sending) return;
    try {
      const limits = await call("/v1/limits");
      const top = commonFolder(found);
      const sorted = sort(found.map(({ file, path }) => ({ file, path: top ? path.slice(top.length + 1) : path })), limits.image_bytes);
      if (!sorted.pictures.length && !sorted.archives.length) return this.#end({ sorted, verdicts: [] });
      const dataset = await this.#target(top || sorted.archives[0]?.file.name.replace(/\.[a-z.]+$/i, "") || "pictures");
      const place = await this.#placing(dataset, sorted.pictures);
      if (!place) return this.#end(null);
      await this.#send(dataset, sorted, place);
    } catch (error) {
      this.#sending = null;
      this.#panel.hidden = true;
      complain(error, () => this.#take(found));
    }
  }

  /** @param {string} wanted @returns {Promise<{id: string, kind: string, images: number}>} the data set that is sent to */
  async #target(wanted) {
    if (!this.hasAttribute("create")) return call(`/v1/datasets/${this.getAttribute("dataset")}`);
    for (let number = 1; ; number++) {
      try {
        return await call("/v1/datasets", { json: { name: wanted.slice(0, 190) + (number > 1 ? ` ${number}` : "") } });
      } catch (error) {
        if (!(error instanceof Problem) || error.status !== 409 || number > 50) throw error;
      }
    }
  }

  /**
   * Ask what the folders mean, and the person where that is doubtful.
   * @param {{id: string, kind: string}} dataset @param {Chosen[]} pictures
   * @returns {Promise<((path: string) => Placement | undefined) | null>} null where the person gave it up
   */
  async #placing(dataset, pictures) {
    const folders = [...new Set(pictures.map(({ path }) => folderOf(path)))];
    if (folders.every((folder) => !folder)) return () => undefined;
    const answer = await call(`/v1/datasets/${dataset.id}/images/folders`, { json: { folders } });
    const meaning = new Map(answer.folders.map((/** @type {any} */ each) => [each.folder, each]));
    const place = (/** @type {string} */ path) => meaning.get(folderOf(path));
    if (!answer.warnings.length) return place;
    return new Promise((resolve) => {
      const lines = [...meaning.values()].slice(0, 8).map((each) => make("li", {}, make("b", {}, each.folder || "(top)"), ` → ${each.labels?.join(", ") || "no label"}${each.split ? `, ${each.split}` : ""}`));
      const choose = (/** @type {any} */ chosen, /** @type {string} */ text, /** @type {string} */ look) => make("button", { type: "button", class: look, onclick: () => resolve(chosen) }, text);
      this.#panel.replaceChildren(
        make("h2", {}, "What do these folders mean?"),
        make("ul", {}, ...lines),
        make("p", { class: "hint" }, answer.warnings[0].detail.replace(/ If .*/s, "")),
        make("div", { class: "acts" }, choose(place, "As listed", "primary"), choose(() => undefined, "Send without labels", ""), choose(null, "Cancel", "plain")),
      );
      this.#panel.hidden = false;
      this.#panel.querySelector("button")?.focus();
    });
  }

  /** @param {{id: string, kind: string, images: number}} dataset @param {ReturnType<typeof sort>} sorted @param {(path: string) => Placement | undefined} place */
  async #send(dataset, sorted, place) {
    const sending = (this.#sending = new Sending(dataset.id, dataset.kind, () => this.#progress()));
    sending.total = sorted.pictures.length + sorted.tooLarge.length;
    this.#progress();
    for (const found of sorted.tooLarge) sending.refuse(found, `Larger than the service takes (${Math.round(found.file.size / 1e6)} MB)`);
    /** @type {any[]} */
    const summaries = [];
    try {
      await sending.send(sorted.pictures, place);
      for (const { file } of sorted.archives)
        if (!sending.cancelled) summaries.push(await sending.sendArchive(file));
    } catch (error) {
      if (!sending.cancelled) complain(error, () => this.#send(dataset, sorted, place)); // what is there is not sent again
      sending.cancel(); // what it sends in parallel as well
    }
    this.#sending = null;
    this.#end({ sorted, verdicts: sending.verdicts, summaries, dataset, stopped: sending.cancelled });
  }

  #progress() {
    this.#due ||= window.setTimeout(() => {
      this.#due = 0;
      const sending = this.#sending;
      if (!sending) return;
      const done = sending.verdicts.length;
      const pictures = sending.total ? { text: `${done.toLocaleString("en")} of ${sending.total.toLocaleString("en")} pictures sent`, share: done / sending.total } : { text: "Reading…" };
      const { text, share } = sending.archive ?? pictures;
      this.#say(sending.waiting ? `${text}; ${sending.waiting}` : text, share);
    }, TOLD_MS);
  }

  /** @param {string} text @param {number} [share] */
  #say(text, share) {
    if (!this.#panel.querySelector("progress")) {
      const go = make("button", { type: "button", class: "small", "data-act": "go", onclick: () => this.#sending?.resume() }, "Continue now");
      const stop = make("button", { type: "button", class: "small", onclick: () => this.#sending?.cancel() }, "Stop");
      this.#panel.replaceChildren(make("header", {}, make("span", { role: "status" }), make("span", { class: "acts" }, go, stop)), make("progress", { class: "tall", max: "1", "aria-label": "Sent" }));
    }
    const progress = /** @type {HTMLProgressElement} */ (this.#panel.querySelector("progress"));
    if (share === undefined) progress.removeAttribute("value");
    else progress.value = share;
    this.#panel.querySelector("[role=status]").textContent = text;
    this.#panel.querySelector("[data-act=go]").hidden = !this.#sending?.waiting;
    this.#panel.hidden = false;
  }

  /** Say what became of everything. @param {any} result null where nothing is to be said */
  #end(result) {
    clearTimeout(this.#due);
    this.#due = 0;
    this.#panel.hidden = true;
    if (!result) return;
    const { sorted, verdicts, summaries = [], dataset, stopped } = result;
    const count = (/** @type {string} */ kind) => verdicts.filter((/** @type {any} */ each) => each.verdict === kind).length;
    const sum = (/** @type {string} */ field) => summaries.reduce((/** @type {number} */ all, /** @type {any} */ each) => all + each[field], 0);
    const accepted = count("accepted") + sum("accepted");
    const known = count("duplicate") + sum("duplicates");
    const rejected = verdicts.filter((/** @type {any} */ each) => each.verdict === "rejected");
    const reasons = Map.groupBy(rejected, (/** @type {any} */ each) => each.error?.title ?? "Refused");
    const parts = [
      accepted && `${plural(accepted, "picture")} added`,
      known && `${known.toLocaleString("en")} ${known === 1 ? "was" : "were"} here already`,
      rejected.length + sum("rejected") && `${(rejected.length + sum("rejected")).toLocaleString("en")} could not be taken`,
      sorted.others.length && `${plural(sorted.others.length, "file")} not sent, being no ${sorted.others.length === 1 ? "picture" : "pictures"} (${endings(sorted.others)})`,
    ].filter(Boolean);
    if (stopped) parts.push("stopped; send it again to add the rest");
    const failed = summaries.map((/** @type {any} */ each) => each.job.error).filter(Boolean);
    if (accepted + known && !rejected.length && !sum("rejected") && !sorted.others.length && !failed.length && !stopped && this.#leave(dataset)) return;
    const lists = [...reasons].map(([reason, files]) => listing(`${reason} (${files.length.toLocaleString("en")})`, files.map((/** @type {any} */ each) => each.name)));
    for (const { job, errors } of summaries) if (errors.length) lists.push(make("p", {}, ...errors.map((/** @type {any} */ each) => `${each.code}: ${each.images}. `), make("a", { href: `${job.links.results}?format=csv&verdict=rejected` }, "List as CSV")));
    for (const error of failed) lists.push(make("p", { class: "notice rose" }, `${error.detail ?? error.title} ${error.hint ?? ""}`));
    if (sorted.others.length) lists.push(listing("Not sent", sorted.others.map((/** @type {Chosen} */ each) => each.path)));
    const to = dataset && (this.hasAttribute("create") || !dataset.images) ? [make("a", { class: "button primary", href: `/datasets/${dataset.id}` }, "Show the pictures")] : [];
    const close = make("button", { type: "button", class: "small", onclick: () => (this.#panel.hidden = true) }, "Close");
    const text = parts.length ? parts.join(", ") + "." : "There was nothing to send.";
    this.#panel.replaceChildren(make("header", {}, make("b", { role: rejected.length || !accepted ? "alert" : "status" }, text[0].toUpperCase() + text.slice(1)), close), ...lists, ...to);
    this.#panel.hidden = false;
    if (dataset && accepted) this.#renew();
  }

  /** Show the data set where it is not on the screen yet. @param {any} dataset */
  #leave(dataset) {
    if (!this.hasAttribute("create") && document.querySelector("image-grid")) return false;
    location.assign(`/datasets/${dataset.id}`);
    return true;
  }

  #renew() {
    freshen();
    for (const grid of document.querySelectorAll("image-grid")) /** @type {any} */ (grid).refresh();
  }
}

/** @param {string} title @param {string[]} names */
function listing(title, names) {
  const more = names.length > LISTED ? [make("li", {}, `and ${(names.length - LISTED).toLocaleString("en")} more`)] : [];
  return make("details", {}, make("summary", {}, title), make("ul", { class: "names" }, ...names.slice(0, LISTED).map((name) => make("li", {}, name)), ...more));
}

/** @param {string} path */
function folderOf(path) {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** The folder that holds everything, if one was dropped. @param {Chosen[]} found */
function commonFolder(found) {
  const top = found[0]?.path.split("/")[0];
  return found.length && found.every(({ path }) => path.startsWith(`${top}/`)) ? top : "";
}

/** @param {Chosen[]} files */
function endings(files) {
  const counts = Map.groupBy(files, ({ path }) => path.match(/\.[^./]+$/)?.[0].toLowerCase() ?? "without ending");
  return [...counts].sort((a, b) => b[1].length - a[1].length).slice(0, 4).map(([ending, all]) => `${ending}${all.length > 1 ? ` ${all.length.toLocaleString("en")}` : ""}`).join(", ");
}

customElements.define("drop-zone", DropZone);

// One picture, large, in a dialog: opens on the event "open" of a grid and on `?image=ID` in the address, which it keeps.
//
//   <image-viewer image="img_1">… the picture as the server drew it, for browsers without script …</image-viewer>
import { call, make } from "../api.js";
import { complain, notify } from "../notices.js";
import { freshen } from "../swap.js";
import { labelText } from "../tile.js";

/** @typedef {import("./image-grid.js").ImageGrid} ImageGrid */

class ImageViewer extends HTMLElement {
  #picture = make("img", { alt: "" });
  #facts = make("dl", { class: "facts" });
  #title = make("h2", { id: "viewer-title" });
  #delete = make("button", { type: "button", class: "danger small" }, "Delete for good…");
  #similar = make("a", { class: "button small", "data-key": "m" }, "More like this ", make("kbd", {}, "M"));
  #dialog = make("dialog", { class: "viewer", "aria-labelledby": "viewer-title" });
  /** @type {any} */ #image = null;
  /** @type {ImageGrid | null} */ #grid = null;
  #stop = new AbortController();

  connectedCallback() {
    const step = (/** @type {number} */ by, /** @type {string} */ key, /** @type {string} */ text) => make("button", { type: "button", "data-key": key, "aria-label": text, title: text, onclick: () => this.#step(by) }, by < 0 ? "←" : "→");
    const close = make("button", { type: "button", onclick: () => this.#dialog.close() }, "Close ", make("kbd", {}, "Esc"));
    this.#delete.addEventListener("click", () => this.#remove());
    this.#dialog.append(make("header", {}, this.#title, make("span", { class: "acts" }, step(-1, "ArrowLeft", "Previous picture"), step(1, "ArrowRight", "Next picture"), close)), this.#picture, make("footer", {}, this.#facts, this.#similar, this.#delete));
    this.#dialog.addEventListener("close", () => this.#closed());
    this.replaceChildren(this.#dialog);
    document.addEventListener("open", (event) => {
      this.#grid = /** @type {ImageGrid} */ (event.target);
      this.#show(/** @type {CustomEvent} */ (event).detail.entry.id);
    }, { signal: this.#stop.signal });
    if (this.getAttribute("image")) this.#show(this.getAttribute("image") ?? "");
  }

  disconnectedCallback() {
    this.#stop.abort();
  }

  /** @param {string} id */
  async #show(id) {
    try {
      const image = (this.#image = await call(`/v1/images/${id}`));
      this.#title.textContent = image.name;
      this.#picture.src = image.links.original;
      this.#picture.alt = image.name;
      this.#similar.setAttribute("href", `/datasets/${image.dataset_id}/similar?image=${image.id}`);
      this.#delete.textContent = "Delete for good…";
      this.#tell(image, []);
      if (!this.#dialog.open) this.#dialog.showModal();
      this.#address(id);
      const { data } = await call(`${image.links.self}/changes?limit=10`);
      if (this.#image.id === id) this.#tell(image, data);
    } catch (error) {
      complain(error);
    }
  }

  /** @param {any} image @param {any[]} changes */
  #tell(image, changes) {
    const facts = {
      Label: labelText(image) || "none yet",
      Split: image.split ?? "drawn by the training",
      Size: `${image.width} × ${image.height} pixels, ${Math.ceil(image.bytes / 1000).toLocaleString("en")} KB ${image.format}`,
      Added: new Date(image.created_at).toLocaleString("en"),
      ...(image.excluded ? { Excluded: "from training; press X in the grid to restore" } : {}),
      ...(image.group ? { Group: image.group } : {}),
    };
    const history = changes.map(({ revision, before, after }) => make("li", {}, `${revision.field}: ${shown(before)} → ${shown(after)}`, make("span", { class: "hint" }, ` ${revision.author ?? ""} ${new Date(revision.created_at).toLocaleString("en")}`)));
    this.#facts.replaceChildren(
      ...Object.entries(facts).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]),
      ...(history.length ? [make("dt", {}, "History"), make("dd", {}, make("ol", { class: "history" }, ...history))] : []),
    );
  }

  /** @param {number} by */
  #step(by) {
    const entries = this.#source?.entries ?? [];
    const next = entries[entries.findIndex((entry) => entry.id === this.#image.id) + by];
    if (next) this.#show(next.id);
  }

  get #source() {
    return this.#grid ?? /** @type {ImageGrid | null} */ (document.querySelector("image-grid"));
  }

  /** @param {string | null} id */
  #address(id) {
    const address = new URL(location.href);
    if (id) address.searchParams.set("image", id);
    else address.searchParams.delete("image");
    history.replaceState(null, "", address);
  }

  #closed() {
    this.#address(null);
    const source = this.#source;
    if (this.#image) source?.reveal(this.#image.id);
  }

  /** The first click asks, the second deletes. */
  async #remove() {
    if (!this.#delete.textContent.startsWith("Yes")) {
      this.#delete.textContent = "Yes, delete this picture; it cannot be brought back";
      return;
    }
    try {
      const { id, name, links } = this.#image;
      await call(links.self, { method: "DELETE" });
      this.#dialog.close();
      for (const grid of /** @type {NodeListOf<ImageGrid>} */ (document.querySelectorAll("image-grid"))) grid.update([id], () => null);
      notify(`${name} was deleted.`);
      freshen();
    } catch (error) {
      complain(error);
    }
  }
}

/** @param {any} value */
function shown(value) {
  if (value === null || value === "") return "none";
  return Array.isArray(value) ? value.join(", ") || "none" : String(value);
}

customElements.define("image-viewer", ImageViewer);

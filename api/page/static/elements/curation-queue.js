// A queue of pictures to decide about. The server renders each picture with its acts as forms; here an act goes to /v1, and the
// next picture, which is fetched in advance, is shown at once.
import { call } from "../api.js";
import { complain, edit, notify } from "../notices.js";
import { copy, screen, swapLinks } from "../swap.js";

class CurationQueue extends HTMLElement {
  /** @type {Map<string, Promise<Document>>} screens that were fetched in advance */
  #ahead = new Map();

  connectedCallback() {
    this.addEventListener("submit", (event) => this.#submit(event));
    this.addEventListener("click", (event) => this.#click(event));
    this.addEventListener("selection", (event) => {
      const { count } = /** @type {import("./image-grid.js").ImageGrid} */ (event.target);
      const text = this.querySelector("[data-chosen]");
      if (text) text.textContent = count ? `${count.toLocaleString("en")} selected` : "";
    });
    this.addEventListener("change", () => {
      const [text, kept] = [this.querySelector("[data-changes]"), this.querySelectorAll("[name=keep]:checked").length];
      if (text) text.textContent = `Change ${Number(text.getAttribute("data-changes")) - kept}${kept ? `, keep ${kept}` : ""}`;
    });
    swapLinks("a[data-turn]", (address) => this.#show(address));
    this.#prepare();
  }

  #prepare() {
    this.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
    const all = this.querySelector("[data-select-all]");
    if (all) all.removeAttribute("hidden");
    const next = this.getAttribute("next");
    if (next) this.#fetch(next);
  }

  /** @param {string} path @returns {Promise<Document>} */
  #fetch(path) {
    const known = this.#ahead.get(path);
    if (known) return known;
    const found = screen(path);
    this.#ahead.set(path, found);
    found.then(
      (other) => {
        for (const image of other.querySelectorAll(".look img")) new Image().src = image.getAttribute("src") ?? "";
      },
      () => this.#ahead.delete(path),
    );
    return found;
  }

  /** @param {string} address */
  async #show(address) {
    const path = address.replace(location.origin, ""); // as `next` has it
    const push = path !== location.pathname + location.search;
    let found;
    try {
      found = await this.#fetch(path);
    } catch (error) {
      complain(error, () => this.#show(path));
      return;
    }
    this.#ahead.clear();
    const other = found.querySelector("curation-queue");
    if (!other) {
      location.assign(path); // an error, or the sign-in
      return;
    }
    for (const name of ["at", "next"]) copy(name, other, this);
    this.replaceChildren(...[...other.childNodes].map((node) => document.importNode(node, true)));
    document.querySelector(".rail nav")?.replaceWith(document.importNode(/** @type {Element} */ (found.querySelector(".rail nav")), true));
    if (push) history.pushState(null, "", path);
    document.title = found.title;
    /** @type {HTMLElement | null} */ (this.querySelector(".number"))?.focus({ preventScroll: true });
    if (push) window.scrollTo(0, 0);
    this.#prepare();
  }

  /** @param {SubmitEvent} event */
  async #submit(event) {
    const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (button?.name !== "act") return; // an undo without script
    event.preventDefault();
    const act = this.#read(form, button.value);
    if (!act) return;
    const here = location.pathname + location.search;
    const shown = this.querySelector(".facts b")?.textContent ?? "";
    const queue = this.getAttribute("queue") ?? here;
    const next = this.getAttribute("next");
    const at = this.getAttribute("at") ?? here;
    const whole = button.hasAttribute("data-all") || !form.matches(".decide, #another");
    let done = false;
    const changed = () => {
      if (done) this.#show(at); // undone: it is shown again
      done = true;
    };
    const moved = !whole && next ? this.#show(next) : null; // at once: the answer is not waited for
    const revision = await edit(this.getAttribute("dataset") ?? "", act, button.dataset.said ?? `Now ${act.label}.`, changed);
    await moved;
    this.#ahead.clear();
    if (!revision) this.#show(at);
    else if (!moved) this.#show(whole && act.act !== "exclude" && act.act !== "dismiss" ? queue : whole ? here : queue);
    else this.#prepare();
    if (revision) this.#compare(revision, act, shown);
  }

  /** The body of the act, with what the fields of the form say. @param {HTMLFormElement} form @param {string} value */
  #read(form, value) {
    const act = JSON.parse(value);
    const fields = new FormData(form);
    const keep = fields.getAll("keep");
    if (act.act === "accept_labels") {
      const labels = act.labels.filter((/** @type {any} */ each) => !keep.includes(each.image));
      return [...(keep.length ? [{ act: "dismiss", images: keep, findings: ["suspected_label"] }] : []), ...(labels.length ? [{ ...act, labels }] : [])];
    }
    if (fields.has("label")) act.label = String(fields.get("label")).trim();
    if (act.act === "crop" && fields.has("left")) act.crop = ["left", "upper", "right", "lower"].map((name) => Number(fields.get(name)));
    const grid = /** @type {import("./image-grid.js").ImageGrid | null} */ (form.querySelector("image-grid"));
    if (!grid) return act;
    if (grid.selection) return { ...act, ...grid.selection };
    notify("Select pictures first.");
    return null;
  }

  /** Say so where another tab or person was faster. @param {any} revision @param {any} act @param {string} shown the label that was seen */
  async #compare(revision, act, shown) {
    if (!revision.images) notify("It was so already: somebody else, or another tab, was faster.");
    if (act.act !== "relabel" || act.images.length !== 1 || !revision.images || !shown) return;
    try {
      const before = (await call(revision.links.changes)).data[0]?.before;
      const label = before === null ? "none" : [before].flat().join(", ");
      if (label !== shown) notify(`Its label had been changed to ${label} meanwhile. Yours was set last.`);
    } catch {
      // the image is gone: there is nothing to compare
    }
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.closest("[data-select-all]")) /** @type {import("./image-grid.js").ImageGrid | null} */ (this.querySelector("image-grid"))?.selectAll();
  }
}

customElements.define("curation-queue", CurationQueue);

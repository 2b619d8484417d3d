// A part of a screen that the server renders again when one of its jobs has news: `<live-part id="x" jobs="trn_1 exp_2">`,
// or of any job: `jobs="*"`. With `freshens` the rest of the screen that says so is drawn again as well.
import { freshen, swap } from "../swap.js";

const PAUSE = 400; // milliseconds between two renewals, so that many events are one
const SLOW = 15_000; // without an event: the stream may be refused, or have missed one

class LivePart extends HTMLElement {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #soon = false;

  connectedCallback() {
    if (this.hasAttribute("done")) return;
    document.addEventListener("job", this.#hear);
    this.#timer = setTimeout(this.#renew, SLOW);
  }

  disconnectedCallback() {
    document.removeEventListener("job", this.#hear);
    clearTimeout(this.#timer);
  }

  /** @param {Event} event */
  #hear = (event) => {
    const { job } = /** @type {CustomEvent} */ (event).detail;
    const wanted = this.getAttribute("jobs") ?? "";
    if (this.#soon || (wanted !== "*" && !wanted.split(" ").includes(job.id))) return;
    this.#soon = true; // events that come until then wait for nothing: they are shown too
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#renew, PAUSE);
  };

  #renew = async () => {
    this.#soon = false;
    const open = [...this.querySelectorAll("details[open]")].map((each) => each.id);
    try {
      await swap(location.href, [`#${this.id}`]);
    } catch {
      this.#timer = setTimeout(this.#renew, SLOW); // the service is away for a moment
      return;
    }
    if (this.hasAttribute("freshens")) freshen();
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  };
}

customElements.define("live-part", LivePart);

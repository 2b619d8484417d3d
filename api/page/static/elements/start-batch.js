// Start a batch with whatever is dropped on the window or chosen; the list of batches is live.
import { startBatch } from "../batch.js";
import { complain } from "../notices.js";
import { freshen } from "../swap.js";
import { chosenIn, dropped } from "../uploads.js";

class StartBatch extends HTMLElement {
  connectedCallback() {
    const form = /** @type {HTMLFormElement} */ (this.querySelector("form[data-files]"));
    const drop = form.querySelector(".drop");
    const start = (/** @type {import("../uploads.js").Chosen[]} */ chosen) => {
      const field = (/** @type {string} */ name) => /** @type {HTMLSelectElement | null} */ (form.elements.namedItem(name))?.value ?? "";
      if (chosen.length) startBatch(chosen, { model: field("model"), threshold: Number(field("threshold")), target_error: Number(field("target_error")) || undefined });
    };
    for (const input of /** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll("input[type=file]")))
      input.addEventListener("change", () => {
        start(chosenIn(input));
        input.value = "";
      });
    for (const [event, over] of /** @type {[string, boolean][]} */ ([["dragover", true], ["dragleave", false], ["drop", false]]))
      document.addEventListener(event, (happened) => {
        happened.preventDefault();
        drop?.classList.toggle("over", over);
      });
    document.addEventListener("drop", (event) => dropped(event.dataTransfer).then(start, complain));
    document.addEventListener("paste", (event) => dropped(event.clipboardData).then(start, complain));
    document.addEventListener("job", (event) => /** @type {CustomEvent} */ (event).detail.job.object === "batch" && freshen());
  }
}

customElements.define("start-batch", StartBatch);

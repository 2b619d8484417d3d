// How sure must it be? Moves along the points that the evaluation measured: `data-points` is [[threshold, ...shares], ...],
// or texts as they are shown.
import { percent } from "../api.js";

class ThresholdSlider extends HTMLElement {
  connectedCallback() {
    /** @type {(number | string | null)[][]} */
    const points = JSON.parse(this.dataset.points ?? "[]");
    const range = /** @type {HTMLInputElement} */ (this.querySelector("input"));
    const shown = [...this.querySelectorAll("output")];
    const show = () => {
      const point = points[Number(range.value)];
      const texts = point.map((value, index) => (typeof value === "string" ? value : value === null ? "–" : index ? percent(value) : value.toFixed(2)));
      texts.forEach((text, index) => (shown[index].textContent = text));
      range.setAttribute("aria-valuetext", texts.join(", "));
    };
    range.disabled = false;
    range.addEventListener("input", show);
    show();
  }
}

customElements.define("threshold-slider", ThresholdSlider);

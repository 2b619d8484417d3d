// How sure must it be? Moves along the points that the evaluation measured: `data-points` is [[threshold, ...shares], ...].
import { percent } from "../api.js";

class ThresholdSlider extends HTMLElement {
  connectedCallback() {
    /** @type {number[][]} */
    const points = JSON.parse(this.dataset.points ?? "[]");
    const range = /** @type {HTMLInputElement} */ (this.querySelector("input"));
    const shown = [...this.querySelectorAll("output")];
    const show = () => {
      const point = points[Number(range.value)];
      const texts = [point[0].toFixed(2), ...point.slice(1).map((share) => (share === null ? "–" : percent(share)))];
      texts.forEach((text, index) => (shown[index].textContent = text));
      range.setAttribute("aria-valuetext", texts.join(", "));
    };
    range.disabled = false;
    range.addEventListener("input", show);
    show();
  }
}

customElements.define("threshold-slider", ThresholdSlider);

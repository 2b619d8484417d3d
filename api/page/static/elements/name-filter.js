// A field above a long list of names that leaves only those which contain what is typed: <name-filter><ul>…</ul></name-filter>
import { make } from "../api.js";

class NameFilter extends HTMLElement {
  connectedCallback() {
    if (this.querySelector("input")) return;
    const field = make("input", { type: "search", "aria-label": "Find a label", placeholder: "Find a label" });
    field.addEventListener("input", () => {
      const wanted = field.value.trim().toLowerCase();
      for (const each of this.querySelectorAll("li")) each.hidden = !(each.textContent ?? "").toLowerCase().includes(wanted);
    });
    field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const first = this.querySelector("li:not([hidden]) a");
      if (event.key === "Enter" && field.value) /** @type {HTMLElement | null} */ (first)?.click();
    });
    this.prepend(field);
    this.closest("details")?.addEventListener("toggle", () => field.focus());
  }
}

customElements.define("name-filter", NameFilter);

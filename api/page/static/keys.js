// Keyboard shortcuts: whatever has `data-key` is clicked, or focused if it is a field, when its key is pressed.
// Enter presses the bold button, unless something else has the focus. Single letters can be switched off (WCAG 2.1.4).
// The sheet lists what works on this screen.
import { make } from "./api.js";

const FIELDS = "input:not([type=checkbox]):not([type=radio]):not([type=range]):not([type=button]), textarea, select, [contenteditable]";
const TAKES_ENTER = "a, button, input, select, textarea, summary, image-grid:not([toggle]) [role=option]";
const BOLD = ".primary:not(:disabled)";
const sheet = /** @type {HTMLDialogElement} */ (document.getElementById("keys-sheet"));
const enabled = /** @type {HTMLInputElement} */ (document.getElementById("keys-on"));

/** @param {string} key */
function find(key) {
  const dialogs = [...document.querySelectorAll("dialog[open]")];
  const within = dialogs.at(-1) ?? document;
  if (key === "Enter") return /** @type {HTMLElement | undefined} */ ([...within.querySelectorAll(BOLD)].find((each) => each.checkVisibility()));
  const found = [...within.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)];
  const usable = found.filter((each) => !each.matches(":disabled") && (each.checkVisibility() || each.closest("details.menu")));
  return /** @type {HTMLElement | undefined} */ (usable.at(-1));
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.key === "Escape" && target.matches?.(FIELDS) && !target.closest("dialog")) target.blur();
  if (event.key === "Enter" && target.closest?.(TAKES_ENTER)) return;
  if (target.matches?.(FIELDS) || (event.key.length === 1 && !enabled.checked)) return;
  const element = find(event.key) ?? find(event.key.toLowerCase());
  if (!element) return;
  event.preventDefault();
  if (element.matches(FIELDS)) element.focus();
  else element.click();
});

enabled.checked = localStorage.getItem("keys") !== "off";
enabled.addEventListener("change", () => localStorage.setItem("keys", enabled.checked ? "on" : "off"));

/** What the sheet says of keys that elements handle themselves: `[["Arrows", "Move"]]`. @type {[string, string][]} */
export const further = [["Enter", "Press the bold button"]];

document.addEventListener("click", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  const opener = target.closest?.("[data-open]");
  if (!opener) return;
  const dialog = /** @type {HTMLDialogElement} */ (document.getElementById(opener.getAttribute("data-open") ?? ""));
  if (dialog === sheet) list();
  dialog.showModal();
});

function list() {
  const rows = new Map(further);
  for (const element of document.querySelectorAll("[data-key]")) {
    const label = /** @type {Element} */ (element.cloneNode(true));
    for (const shown of label.querySelectorAll("kbd")) shown.remove();
    const key = element.getAttribute("data-key") ?? "";
    rows.set(key.length === 1 ? key.toUpperCase() : key, element.getAttribute("data-key-label") ?? label.textContent?.trim() ?? "");
  }
  const parts = [...rows].flatMap(([key, text]) => [make("dt", {}, make("kbd", {}, key)), make("dd", {}, text)]);
  sheet.querySelector("dl")?.replaceChildren(...parts);
}

// What every screen has: notices, shortcuts, theme, the tray of running jobs.
import "./elements/activity-tray.js";
import "./keys.js";
import { notify } from "./notices.js";

document.querySelector("[data-theme-toggle]")?.addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark" || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", dark ? "light" : "dark");
});

document.addEventListener("click", async (event) => {
  const id = /** @type {HTMLElement} */ (event.target).closest?.("[data-copy]")?.getAttribute("data-copy");
  if (!id) return;
  const text = /** @type {HTMLElement} */ (document.getElementById(id));
  getSelection()?.selectAllChildren(text); // what is left to do by hand where the clipboard is refused, as without https
  await navigator.clipboard?.writeText(text.textContent ?? "").then(() => notify("Copied."), () => {});
});

// On a phone the places are one row, which scrolls: where one is, is shown.
document.querySelector(".rail nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// A menu closes when the focus or a click goes elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]"))
    if (!menu.contains(/** @type {Node} */ (event.target))) menu.removeAttribute("open");
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const menu of document.querySelectorAll("details.menu[open]")) menu.removeAttribute("open");
});

// The screen that was shown last is the one that is shown: what the back button brings may be old.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

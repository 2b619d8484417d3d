// Parts of a screen are drawn again by the server: this fetches the screen and puts them in place of those shown.
import { Problem, send } from "./api.js";
import { released } from "./press.js";

/** @type {Map<string, object>} the newest swap of each part */
const newest = new Map();
let due = 0;
let left = -10_000; // when something led to another screen; what stays for ten seconds was a download
addEventListener("beforeunload", () => { left = Date.now(); });

/** Fetch a screen. @param {string} address @returns {Promise<Document>} @throws {Problem} */
export async function screen(address) {
  const response = await send(address, { headers: { Accept: "text/html" } });
  if (new URL(response.url).pathname === "/sign-in") throw new Problem(401, { detail: "This browser is not signed in any more." });
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

/**
 * Draw parts again from an address of this screen, which becomes the page's address. What a person has done stays: a
 * grid with an id is the same as before, with its selection, and reads its list again; so are the focus of what has an id,
 * and what was typed into a field with one, if the address is the same. Nothing is replaced while it is pressed.
 * @param {string} address
 * @param {string[]} parts selectors of one or more elements each
 * @param {{keep?: boolean, prepare?: (fresh: Document) => unknown}} [options] `keep`: the page's address stays as it is
 * @returns {Promise<boolean>} false where a newer swap has overtaken this one
 * @throws {Problem}
 */
export async function swap(address, parts, { keep = false, prepare } = {}) {
  const turn = {};
  for (const part of parts) newest.set(part, turn);
  const fresh = await screen(address);
  await prepare?.(fresh);
  await released((pressed) => parts.some((part) => pressed.closest(part)));
  if (parts.some((part) => newest.get(part) !== turn)) return false;
  const [shown, drawn] = [document, fresh].map((screen) => parts.map((part) => [...screen.querySelectorAll(part)]));
  if (shown.some((elements, index) => elements.length !== drawn[index].length)) {
    // The screen is another one now; to load it would keep a person from the one that is on its way.
    if (Date.now() - left > 10_000) location.replace(address.split("#")[0]);
    return false;
  }
  const here = new URL(address, location.href).href === location.href;
  const grids = new Map([...document.querySelectorAll("image-grid[id]")].map((grid) => [grid.id, grid]));
  for (const [id, grid] of grids) for (const name of ["total", "src"]) copy(name, fresh.getElementById(id), grid);
  const focused = document.activeElement;
  for (const [index, part] of shown.flat().entries()) {
    const next = document.adoptNode(drawn.flat()[index]);
    for (const grid of next.querySelectorAll("image-grid[id]")) grid.replaceWith(grids.get(grid.id) ?? grid);
    part.replaceWith(next);
    if (here) for (const field of part.querySelectorAll("input[type=text][id]")) retype(/** @type {HTMLInputElement} */ (field));
  }
  const again = focused?.isConnected ? focused : focused?.id ? document.getElementById(focused.id) : null;
  if (document.activeElement === document.body) /** @type {HTMLElement | null} */ (again)?.focus({ preventScroll: true });
  if (!keep && !here) history.pushState(null, "", address);
  document.title = fresh.title;
  return true;
}

/** What was typed into a field that was drawn again. @param {HTMLInputElement} before */
function retype(before) {
  const field = /** @type {HTMLInputElement | null} */ (document.getElementById(before.id));
  if (field && before.value !== before.defaultValue) field.value = before.value;
}

/** @param {string} name of an attribute @param {Element | null} from @param {Element} to */
export function copy(name, from, to) {
  const value = from?.getAttribute(name) ?? null;
  if (value !== null) to.setAttribute(name, value);
  else if (from) to.removeAttribute(name);
}

/** Draw what has `data-fresh` again, soon: after edits, counts are others. */
export function freshen() {
  clearTimeout(due);
  due = setTimeout(() => swap(location.href, ["[data-fresh]"]).catch(() => {}), 200);
}

/**
 * Links like these, and the back button, call this instead of loading the screen.
 * @param {string} links a selector
 * @param {(address: string) => unknown} show
 */
export function swapLinks(links, show) {
  document.addEventListener("click", (event) => {
    const link = /** @type {HTMLElement} */ (event.target).closest?.(links);
    if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    show(/** @type {HTMLAnchorElement} */ (link).href);
  });
  window.addEventListener("popstate", () => show(location.href));
}

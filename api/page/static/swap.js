// Parts of a screen are drawn again by the server: this fetches the screen and puts them in place of those shown.
import { send } from "./api.js";

/** @type {Map<string, object>} the newest swap of each part */
const newest = new Map();
let due = 0;

/** Fetch a screen. @param {string} address @returns {Promise<Document>} @throws {Problem} */
export async function screen(address) {
  const response = await send(address, { headers: { Accept: "text/html" } });
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

/**
 * Draw parts again from an address of this screen, which becomes the page's address. The focus is kept where what had it
 * has an id; grids stay, and read the list of the new address.
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
  if (parts.some((part) => newest.get(part) !== turn)) return false;
  const [shown, drawn] = [document, fresh].map((screen) => parts.map((part) => [...screen.querySelectorAll(part)]));
  if (shown.some((elements, index) => elements.length !== drawn[index].length)) {
    location.assign(address.split("#")[0]); // signed out meanwhile, or the screen is another one now
    return false;
  }
  const focused = document.activeElement?.id;
  shown.flat().forEach((element, index) => element.replaceWith(document.adoptNode(drawn.flat()[index])));
  for (const grid of document.querySelectorAll("image-grid[id]"))
    for (const name of ["total", "src"]) copy(name, fresh.getElementById(grid.id), grid);
  if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus({ preventScroll: true });
  if (!keep && new URL(address, location.href).href !== location.href) history.pushState(null, "", address);
  document.title = fresh.title;
  return true;
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

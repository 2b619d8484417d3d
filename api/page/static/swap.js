// Parts of a screen are renewed in place: the server draws them, this fetches the screen and puts them in.
import { send } from "./api.js";

let newest = 0;

/**
 * Replace the elements with these ids by those of another address of this screen, which becomes the page's address.
 * @param {string} address
 * @param {string[]} ids
 * @param {{keep?: boolean, prepare?: (fresh: Document) => unknown}} [options] `keep`: the address stays as it is
 * @returns {Promise<boolean>} false where a newer swap has overtaken this one
 */
export async function swap(address, ids, { keep = false, prepare } = {}) {
  const number = ++newest;
  const response = await send(address, { headers: { Accept: "text/html" } });
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  await prepare?.(fresh);
  if (number !== newest) return false;
  if (!ids.every((id) => fresh.getElementById(id))) {
    location.assign(address); // signed out meanwhile, or the screen is another one now
    return false;
  }
  const focused = document.activeElement?.id;
  for (const id of ids) document.getElementById(id)?.replaceWith(document.adoptNode(/** @type {Node} */ (fresh.getElementById(id))));
  if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus();
  if (!keep && new URL(address, location.href).href !== location.href) history.pushState(null, "", address);
  document.title = fresh.title;
  return true;
}

/**
 * Links with `data-swap`, and the back button, call this instead of loading the screen.
 * @param {(address: string, keep: boolean) => unknown} show
 */
export function swapLinks(show) {
  document.addEventListener("click", (event) => {
    const link = /** @type {HTMLElement} */ (event.target).closest?.("a[data-swap]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    show(/** @type {HTMLAnchorElement} */ (link).href, false);
  });
  window.addEventListener("popstate", () => show(location.href, true));
}

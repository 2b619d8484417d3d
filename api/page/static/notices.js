// Short messages at the edge of the screen, with what to do about them.
import { Problem, call, make } from "./api.js";

const SECONDS = 8;

/**
 * Say something for some seconds; with actions it stays for longer.
 * @param {string} text
 * @param {{kind?: "" | "rose", actions?: Record<string, () => void>, key?: string}} [options] `key`: the shortcut of the first action
 */
export function notify(text, { kind = "", actions = {}, key } = {}) {
  const notice = make("div", { class: `notice ${kind}` }, make("span", {}, text));
  const buttons = Object.entries(actions);
  for (const [index, [name, act]] of buttons.entries()) {
    const button = make("button", { type: "button", class: "small", "data-key": index ? null : key }, name);
    button.addEventListener("click", () => {
      notice.remove();
      act();
    });
    if (key && !index) button.append(" ", make("kbd", {}, key.toUpperCase()));
    notice.append(button);
  }
  const list = /** @type {HTMLElement} */ (document.getElementById("notices"));
  for (const other of [...list.children]) if (other.firstChild?.textContent === text && kind) other.remove(); // said again
  while (list.children.length > 2) list.firstElementChild?.remove();
  list.append(notice);
  setTimeout(() => notice.remove(), 1000 * SECONDS * (buttons.length ? 3 : 1));
}

/**
 * Say what went wrong and what to do.
 * @param {unknown} error
 * @param {() => void} [again] does it once more
 */
export function complain(error, again) {
  if (error instanceof Problem && error.status === 401) {
    const open = () => window.open("/sign-in", "_blank");
    notify("Your session has ended. Sign in again in another tab; what you see here is kept.", { kind: "rose", actions: { "Sign in": open } });
    return;
  }
  if (error instanceof Problem && error.status === 404)
    return notify("This was deleted meanwhile. Reload the page to see what is there.", { kind: "rose", actions: { Reload: () => location.reload() } });
  const known = error instanceof Problem ? `${error.message} ${error.hint}` : "Something went wrong on this page. Reload it.";
  if (!(error instanceof Problem)) console.error(error);
  notify(known, { kind: "rose", actions: again ? { "Try again": again } : {} });
}

/**
 * Say what was done, and offer the undo.
 * @param {string} text
 * @param {string[]} undos addresses that take it back, newest first; without any there is no undo
 * @param {() => void} [undone] is called after the undo
 */
export function notifyUndo(text, undos, undone = () => {}) {
  const undo = async () => {
    try {
      for (; undos.length; undos.shift()) await call(undos[0], { method: "POST" }); // a second try goes on where the first failed
      notify("Undone.");
      undone();
    } catch (error) {
      complain(error, undo);
    }
  };
  notify(text, undos.length ? { actions: { Undo: undo }, key: "u" } : {});
}

/**
 * Edit images, say so, and offer the undo. The document hears of each act as "edited".
 * @param {string} dataset id
 * @param {Record<string, unknown> | Record<string, unknown>[]} acts bodies of POST /v1/datasets/{dataset}/revisions
 * @param {string} text what to say
 * @param {() => void} changed is called after the edit, and after its undo
 * @returns {Promise<any>} the last revision, or null where it failed and was told; what was done before that is done
 */
export async function edit(dataset, acts, text, changed) {
  const rest = [acts].flat();
  const made = [];
  try {
    for (; rest.length; rest.shift()) {
      made.push(await call(`/v1/datasets/${dataset}/revisions`, { json: rest[0] }));
      document.dispatchEvent(new CustomEvent("edited", { detail: rest[0] }));
    }
    notifyUndo(text, made.map((revision) => revision.links.undo).reverse(), changed);
    changed();
    return made.at(-1);
  } catch (error) {
    complain(error, () => edit(dataset, rest, text, changed));
    if (made.length) changed();
    return null;
  }
}

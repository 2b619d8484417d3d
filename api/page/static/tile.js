// A tile of a grid: a picture with what is said of it.
import { make } from "./api.js";

/**
 * What a tile shows: `key` is what a selection holds, `state` classes of .tile, `out` why it is faded.
 * @typedef {{key: string, thumb?: string, name: string, note?: string, corner?: string, state?: string, out?: string}} Look
 */

/** The labels of an entry as people read them. @param {any} entry */
export function labelText(entry) {
  if (entry.labels?.length === 0) return "none of the labels";
  return (entry.labels ?? (entry.label ? [entry.label] : [])).join(", ");
}

/** What a tile shows of an image of /v1. @param {any} entry @returns {Look} */
export function lookOfImage(entry) {
  return {
    key: entry.id ?? entry.image_id,
    thumb: entry.links?.thumb,
    name: entry.name,
    note: labelText(entry),
    corner: entry.review === "pending" ? "to review" : (entry.split ?? undefined),
    out: entry.excluded ? "excluded" : undefined,
  };
}

/**
 * @param {Look} look
 * @param {number} index in the list
 * @param {HTMLElement | undefined} picture that is loaded already
 * @param {Record<string, string>} state further attributes
 * @returns {HTMLElement} its picture is loaded once `data-src` is made `src`
 */
export function makeTile(look, index, picture, state) {
  if (!picture?.hasAttribute("src") && look.thumb)
    picture = make("img", { "data-src": look.thumb, alt: "", decoding: "async", width: "192", height: "192" });
  picture?.setAttribute("draggable", "false");
  const tile = make("li", { role: "option", "aria-posinset": String(index + 1), "data-image": look.key, "data-index": String(index), title: look.name, ...state }, ...(picture ? [picture] : []));
  return dress(tile, look);
}

/** Say of a picture what there is to say. @param {HTMLElement} tile @param {Look} look */
export function dress(tile, look) {
  tile.className = `tile ${look.state ?? ""} ${look.out ? "out" : ""}`;
  tile.setAttribute("aria-label", [look.name, look.note, look.corner, look.out].filter(Boolean).join(", "));
  tile.toggleAttribute("data-out", Boolean(look.out));
  if (look.out) tile.setAttribute("data-out", look.out);
  for (const said of tile.querySelectorAll(".corner, .note")) said.remove();
  if (look.corner) tile.append(make("span", { class: "corner" }, look.corner));
  if (look.note) tile.append(make("span", { class: "note" }, look.note));
  return tile;
}

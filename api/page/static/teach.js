// "Wrong? Teach it": the right label of one picture or of many goes to the data set, where it waits for review.
import { call, plural } from "./api.js";
import { complain, notifyUndo } from "./notices.js";

const AT_ONCE = 100;

/**
 * Send corrections, and offer their undo.
 * @param {string} job a batch or prediction
 * @param {number[]} seqs
 * @param {string} label
 * @param {{id: string, name: string}} dataset
 * @returns {Promise<boolean>}
 */
export async function teach(job, seqs, label, dataset) {
  /** @type {string[]} */
  const undos = [];
  let [accepted, duplicates, rejected] = [0, 0, 0];
  try {
    for (let first = 0; first < seqs.length; first += AT_ONCE) {
      const corrections = seqs.slice(first, first + AT_ONCE).map((seq) => ({ seq, label }));
      const found = await call(`/v1/jobs/${job}/feedback`, { json: { dataset: dataset.id, corrections } });
      if (found.revision_id) undos.push(`/v1/datasets/${dataset.id}/revisions/${found.revision_id}/undo`);
      accepted += found.accepted;
      duplicates += found.duplicates;
      rejected += found.rejected;
    }
  } catch (error) {
    complain(error, () => teach(job, seqs, label, dataset));
    return false;
  }
  const told = [
    accepted && `${plural(accepted, "picture")} ${accepted === 1 ? "waits" : "wait"} for review in ${dataset.name} as ${label}.`,
    duplicates && `${plural(duplicates, "picture")} ${duplicates === 1 ? "was" : "were"} in ${dataset.name} already and ${duplicates === 1 ? "stays" : "stay"} as before.`,
    rejected && `${plural(rejected, "picture")} cannot be used.`,
  ];
  notifyUndo(told.filter(Boolean).join(" "), undos.reverse());
  return true;
}

/** The data set that a form names, by its field or choice. @param {HTMLFormElement} form */
export function datasetOf(form) {
  const field = /** @type {HTMLInputElement | HTMLSelectElement} */ (form.elements.namedItem("dataset"));
  const named = field instanceof HTMLSelectElement ? field.selectedOptions[0] : field;
  return { id: field.value, name: named?.dataset.name ?? "the data set" };
}

/**
 * Make a form that the macro `teach` has drawn work.
 * @param {HTMLFormElement} form
 * @param {string} label
 */
export async function teachBy(form, label) {
  const input = /** @type {HTMLInputElement} */ (form.querySelector("#right"));
  if (!label.trim()) return input.focus();
  const seqs = (form.getAttribute("data-seqs") ?? "").split(" ").map(Number); // `dataset` is a field of this form
  if (await teach(form.getAttribute("data-job") ?? "", seqs, label.trim(), datasetOf(form))) input.value = "";
}

document.addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (!form.matches("form.teach")) return;
  event.preventDefault();
  teachBy(form, /** @type {HTMLInputElement} */ (form.querySelector("#right")).value);
});
document.addEventListener("click", (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest?.("form.teach [data-right]");
  if (button) teachBy(/** @type {HTMLFormElement} */ (button.closest("form")), button.getAttribute("data-right") ?? "");
});

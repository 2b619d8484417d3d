// "Wrong? Teach it": the right label of one picture or of many goes to the data set, where it waits for review.
import { call, plural } from "./api.js";
import { complain, notify } from "./notices.js";

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
  const revisions = [];
  let [accepted, duplicates, rejected] = [0, 0, 0];
  try {
    for (let first = 0; first < seqs.length; first += AT_ONCE) {
      const corrections = seqs.slice(first, first + AT_ONCE).map((seq) => ({ seq, label }));
      const found = await call(`/v1/jobs/${job}/feedback`, { json: { dataset: dataset.id, corrections } });
      if (found.revision_id) revisions.push(found.revision_id);
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
  const undo = async () => {
    try {
      for (const revision of revisions.reverse()) await call(`/v1/datasets/${dataset.id}/revisions/${revision}/undo`, { method: "POST" });
      notify("Undone.");
    } catch (error) {
      complain(error, undo);
    }
  };
  notify(told.filter(Boolean).join(" "), revisions.length ? { actions: { Undo: undo }, key: "u" } : {});
  return true;
}

/**
 * Make a form that the macro `teach` has drawn work.
 * @param {HTMLFormElement} form
 * @param {string} label
 */
export async function teachBy(form, label) {
  const input = /** @type {HTMLInputElement} */ (form.querySelector("#right"));
  if (!label.trim()) return input.focus();
  const field = /** @type {HTMLInputElement | HTMLSelectElement} */ (form.elements.namedItem("dataset"));
  const named = field instanceof HTMLSelectElement ? field.selectedOptions[0] : field;
  const dataset = { id: field.value, name: named?.dataset.name ?? "the data set" };
  const seqs = (form.getAttribute("data-seqs") ?? "").split(" ").map(Number); // `dataset` is a field of this form
  if (await teach(form.getAttribute("data-job") ?? "", seqs, label.trim(), dataset)) input.value = "";
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

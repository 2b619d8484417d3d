// Start a batch of files: one archive as it is, pictures as a tar that is made here; sent in parts.
import { Problem, call, make, plural } from "./api.js";
import { complain } from "./notices.js";
import { tar } from "./tar.js";
import { isArchive, isPicture, upload } from "./uploads.js";

/**
 * Send the files, start the batch, and open its screen.
 * @param {import("./uploads.js").Chosen[]} chosen
 * @param {Record<string, any>} options of POST /v1/batches
 */
export async function startBatch(chosen, options) {
  const largest = (await call("/v1/limits").catch(() => null))?.image_bytes ?? Infinity;
  const pictures = chosen.filter((each) => isPicture(each) && each.file.size <= largest);
  const archive = chosen.length === 1 && isArchive(chosen[0].file) ? chosen[0].file : null;
  const control = new AbortController();
  const told = make("p", { role: "status" });
  const bar = make("progress", { class: "tall", max: 1, "aria-label": "Progress" });
  const stop = make("button", { type: "button", onclick: () => control.abort() }, "Cancel");
  const dialog = make("dialog", { "aria-label": "Starting a batch", oncancel: () => control.abort() }, make("div", { class: "stack" }, told, bar, make("div", { class: "acts" }, stop)));
  document.body.append(dialog);
  dialog.showModal();
  try {
    if (!archive && !pictures.length) throw new Problem(0, { detail: "There is no picture among these files, or none of a size that the service takes.", hint: "Choose pictures, a folder of them, or a zip." });
    const left = chosen.length - pictures.length;
    const text = plural(pictures.length, "picture") + (left && !archive ? ` (${plural(left, "other file")} left out)` : "");
    const file = archive ?? tar(pictures, `${nameOf(pictures)}.tar`);
    told.textContent = archive ? `Sending ${file.name}` : `Sending ${text}`;
    const input = { upload: await upload(file, (share) => (bar.value = share), control.signal) };
    const job = await call("/v1/batches", { json: { ...options, input } });
    location.assign(`/batches/${job.id}`);
  } catch (error) {
    dialog.remove();
    if (!control.signal.aborted) complain(error, () => startBatch(chosen, options));
  }
}

/** The folder that all of them are in, or how many there are. @param {import("./uploads.js").Chosen[]} files */
function nameOf(files) {
  const folders = new Set(files.map(({ path }) => (path.includes("/") ? path.split("/")[0] : "")));
  const [folder] = folders;
  return folders.size === 1 && folder ? folder : plural(files.length, "picture");
}

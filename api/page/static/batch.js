// Start a batch of files: one archive as it is, pictures as a tar that is made here; sent in parts.
import { call, make, plural } from "./api.js";
import { complain } from "./notices.js";
import { Patience } from "./patience.js";
import { tar } from "./tar.js";
import { NO_PICTURE, isArchive, isPicture, upload } from "./uploads.js";

/**
 * Send the files, start the batch, and open its screen.
 * @param {import("./uploads.js").Chosen[]} chosen
 * @param {Record<string, any>} options of POST /v1/batches
 */
export async function startBatch(chosen, options) {
  const largest = (await call("/v1/limits").catch(() => null))?.image_bytes ?? Infinity;
  const pictures = chosen.filter((each) => isPicture(each) && each.file.size <= largest);
  const archive = chosen.length === 1 && isArchive(chosen[0].file) ? chosen[0].file : null;
  let text = "";
  const patience = new Patience(() => told.textContent = `Sending ${text}${patience.waiting && `; ${patience.waiting}`}`);
  const told = make("p", { role: "status" });
  const bar = make("progress", { class: "tall", max: 1, "aria-label": "Progress" });
  const stop = make("button", { type: "button", onclick: () => patience.cancel() }, "Cancel");
  const dialog = make("dialog", { "aria-label": "Starting a batch", oncancel: () => patience.cancel() }, make("div", { class: "stack" }, told, bar, make("div", { class: "acts" }, stop)));
  document.body.append(dialog);
  dialog.showModal();
  try {
    if (!archive && !pictures.length) throw NO_PICTURE;
    const left = chosen.length - pictures.length;
    text = archive ? archive.name : plural(pictures.length, "picture") + (left ? ` (${plural(left, "other file")} left out)` : "");
    patience.change();
    const id = await upload(archive ?? tar(pictures, `${nameOf(pictures)}.tar`), patience, (share) => (bar.value = share));
    const job = await patience.call("/v1/batches", { json: { ...options, input: { upload: id } }, headers: { "Idempotency-Key": id } });
    location.assign(`/batches/${job.id}`);
  } catch (error) {
    dialog.remove();
    if (!patience.cancelled) complain(error, () => startBatch(chosen, options));
  }
}

/** The folder that all of them are in, or how many there are. @param {import("./uploads.js").Chosen[]} files */
function nameOf(files) {
  const folders = new Set(files.map(({ path }) => (path.includes("/") ? path.split("/")[0] : "")));
  const [folder] = folders;
  return folders.size === 1 && folder ? folder : plural(files.length, "picture");
}

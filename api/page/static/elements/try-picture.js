// Try a model: pictures that are chosen, dropped, pasted or photographed are sent at once; the server draws the answer.
import { call, ended, make, plural, send } from "../api.js";
import { complain, notify } from "../notices.js";
import { startBatch } from "../batch.js";
import { swap, swapLinks } from "../swap.js";
import "../teach.js";
import { NO_PICTURE, isPicture } from "../uploads.js";

const PARTS = ["#tried", "#call"];

class TryPicture extends HTMLElement {
  #asked = 0; // only the newest request may show its answer
  /** @type {File[]} */
  #files = [];

  /** @param {string} id @returns {any} */
  #find(id) {
    return document.getElementById(id);
  }

  connectedCallback() {
    for (const id of ["files", "photo"])
      this.#find(id).addEventListener("change", (/** @type {any} */ event) => {
        this.#ask([...event.target.files]);
        event.target.value = ""; // the same picture can be chosen again
      });
    for (const id of ["threshold", "tags", "heatmap", "model"]) this.#find(id).addEventListener("change", () => this.#again(id));
    document.addEventListener("paste", (event) => this.#ask([...(event.clipboardData?.files ?? [])]));
    document.addEventListener("dragover", (event) => this.#over(event, true));
    document.addEventListener("dragleave", (event) => event.relatedTarget || this.#over(event, false));
    document.addEventListener("drop", (event) => {
      this.#over(event, false);
      this.#ask([...(event.dataTransfer?.files ?? [])]);
    });
    document.addEventListener("error", (event) => {
      const image = /** @type {HTMLElement} */ (event.target);
      if (image.matches?.(".stage img")) image.hidden = true; // of a kind that this browser cannot show, or no picture at all
    }, true);
    this.#camera();
    swapLinks("a[data-swap]", (address) => this.#show(address));
    this.#follow();
  }

  /** @param {DragEvent} event @param {boolean} over */
  #over(event, over) {
    event.preventDefault();
    this.querySelector(".stage")?.classList.toggle("over", over);
  }

  /** Ask about the same pictures once more, after another model or option was chosen. @param {string} changed */
  async #again(changed) {
    const shown = new URLSearchParams(location.search).get("prediction");
    try {
      if (!this.#files.length && shown) this.#files = await pictures(shown);
    } catch (error) {
      return complain(error);
    }
    if (this.#files.length) this.#ask(this.#files);
    else if (changed === "model") await swap(`/use?model=${encodeURIComponent(this.#find("model").value)}`, ["#call"]).catch(complain);
  }

  /** @param {File[]} dropped */
  async #ask(dropped) {
    if (!dropped.length) return;
    const files = dropped.filter((file) => isPicture({ file, path: file.name }) && file.size <= Number(this.getAttribute("largest")));
    if (!files.length) return complain(NO_PICTURE);
    if (files.length < dropped.length) notify(`${plural(dropped.length - files.length, "file")} left out: no pictures, or too large.`);
    const most = Number(this.getAttribute("most"));
    const options = { model: this.#find("model").value, threshold: Number(this.#find("threshold").value), heatmap: this.#find("heatmap").checked ? "top" : undefined, tags: this.#find("tags").checked || undefined };
    if (files.length > most) {
      const start = () => startBatch(files.map((file) => ({ file, path: file.name })), options);
      return notify(`${files.length} pictures: at most ${most} are answered here. A batch takes them all.`, { actions: { "Start a batch": start } });
    }
    const number = ++this.#asked;
    this.#files = files;
    const local = files.length === 1 ? await show(files[0]) : "";
    this.#busy(local, files.length);
    const body = new FormData();
    for (const file of files) body.append("files", file, file.name || "picture");
    for (const [name, value] of Object.entries(options)) if (name !== "model" && value) body.append(name, String(value));
    try {
      const asked = await call(`/v1/models/${encodeURIComponent(options.model)}/predict`, { body, headers: { Prefer: "wait=20" } });
      await this.#answer(asked, number, local);
    } catch (error) {
      if (number !== this.#asked) return;
      complain(error, () => this.#ask(files));
      this.#find("answer").replaceChildren(make("p", { class: "notice rose", role: "alert" }, error instanceof Error ? error.message : ""));
    }
  }

  /** Follow a prediction whose answer was not there when the screen was drawn. */
  async #follow() {
    const id = this.querySelector("[data-waiting]")?.getAttribute("data-waiting");
    if (id) await this.#answer({ id, done: false }, ++this.#asked).catch(complain);
  }

  /** @param {any} job @param {number} number @param {string} [local] */
  async #answer(job, number, local) {
    job = await ended(job, (now) => this.#wait(now));
    if (number !== this.#asked) return;
    await this.#show(`/use?prediction=${job.id}`, local);
  }

  /** @param {string} address @param {string} [local] the picture, where this browser has it */
  async #show(address, local) {
    const prepare = (/** @type {Document} */ fresh) => local && fresh.querySelector(".stage .picture")?.setAttribute("src", local);
    try {
      if (await swap(address, PARTS, { prepare })) this.#shown();
    } catch (error) {
      complain(error, () => this.#show(address, local));
    }
  }

  /** Say why it takes long. @param {any} job */
  #wait(job) {
    const text = this.querySelector(".answer > .soft");
    if (!text || job.done) return;
    const first = job.request.heatmap || job.request.tags ? " The first heatmap or tags of a model take a minute: it is prepared for them." : "";
    text.textContent = (job.status === "queued" ? "Waiting for a worker." : "Classifying …") + first;
  }

  /** @param {string} local @param {number} count */
  #busy(local, count) {
    if (local) this.querySelector(".stage")?.replaceChildren(make("img", { class: "picture", src: local, alt: "The picture that is being classified" }));
    const text = count === 1 ? "Classifying …" : `Classifying ${count} pictures …`;
    this.#find("answer").replaceChildren(make("p", { class: "soft" }, text), make("progress", { "aria-label": text }));
    this.#find("said").textContent = text;
  }

  /** Say the answer, and bring it into view where it is below the fold, as on a phone. */
  #shown() {
    const answer = this.#find("answer");
    this.querySelector(".try")?.classList.toggle("several", Boolean(answer.querySelector(".tiles")));
    const best = [...answer.querySelectorAll(".kinds li:first-child span")].map((part) => part.textContent);
    this.#find("said").textContent = [answer.querySelector("h2")?.textContent, ...best].join(" ");
    if (answer.getBoundingClientRect().bottom > innerHeight) answer.scrollIntoView({ block: "nearest" });
  }

  /** A phone has a camera of its own behind the file field; elsewhere the picture is taken here. */
  #camera() {
    const dialog = this.#find("camera");
    const video = dialog.querySelector("video");
    /** @type {MediaStream | null} */
    let stream = null;
    const button = /** @type {HTMLElement} */ (this.querySelector(".camera"));
    if (matchMedia("(pointer: coarse)").matches || !navigator.mediaDevices) {
      if (!matchMedia("(pointer: coarse)").matches) button.hidden = this.#find("photo").hidden = true; // no camera can be asked for
      return;
    }
    button.addEventListener("click", async (event) => {
      event.preventDefault();
      try {
        stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      } catch {
        return notify("The camera cannot be used: there is none, or this page may not use it. Choose a file instead.", { kind: "rose" });
      }
      video.srcObject = stream;
      dialog.showModal();
    });
    dialog.addEventListener("close", () => {
      for (const track of stream?.getTracks() ?? []) track.stop();
    });
    dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
    dialog.querySelector("[data-shutter]").addEventListener("click", () => {
      const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d").drawImage(video, 0, 0);
      dialog.close();
      canvas.toBlob((/** @type {Blob} */ blob) => this.#ask([new File([blob], "photo.jpg", { type: "image/jpeg" })]), "image/jpeg", 0.92);
    });
  }
}

/** The address of a picture that this browser can show, or nothing. @param {File} file */
async function show(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
    return image.src;
  } catch {
    URL.revokeObjectURL(image.src);
    return "";
  }
}

/** The pictures of a prediction, as they were sent. @param {string} prediction */
async function pictures(prediction) {
  const job = await call(`/v1/predictions/${prediction}`);
  const items = job.result?.predictions ?? [];
  return Promise.all(
    items.map(async (/** @type {any} */ item) => {
      const content = await send(job.links.content.replace("{seq}", item.seq));
      return new File([await content.blob()], item.custom_id);
    }),
  );
}

customElements.define("try-picture", TryPicture);

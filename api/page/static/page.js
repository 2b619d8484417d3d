// The page with JavaScript: the same form, with the result shown in place. Uses the public /v1 with the page's cookie.
const byId = (id) => document.getElementById(id);
const form = byId("try");
const input = byId("files");
const drop = byId("drop");
const UNDECIDED = { below_threshold: "Not sure enough", none_of_these: "None of these" };
const WAIT = { Prefer: "wait=20" };

let asked = 0; // only the newest request may show its result
let current = null;

for (const element of document.querySelectorAll(".js-only")) element.hidden = false;
form.classList.add("live");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask(input.files[0] ?? current);
});
input.addEventListener("change", () => ask(input.files[0]));
for (const id of ["model", "threshold", "tags"]) byId(id).addEventListener("change", () => ask(current));
byId("model").addEventListener("change", showCall);
document.addEventListener("paste", (event) => askOne(event.clipboardData));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  askOne(event.dataTransfer);
});

const later = new URLSearchParams(location.search).get("prediction");
if (later && byId("result").hidden && byId("problem").hidden) follow(`/v1/predictions/${encodeURIComponent(later)}`, ++asked);

byId("picture").addEventListener("error", () => {
  byId("picture").hidden = true; // of a kind that this browser cannot show, or no picture at all
});

function askOne(transfer) {
  const files = [...(transfer?.files ?? [])];
  const picture = files.find((file) => file.type.startsWith("image/")) ?? files[0];
  if (!picture) return;
  ask(picture);
  byId("others").hidden = files.length < 2;
  byId("others").textContent =
    `Only one picture at a time: of these ${files.length} files, this is the result for ${picture.name}. ` +
    "For many pictures, run tsukiji classify.";
}

/** Bring the answer into view where it is below the fold, as on a phone. */
function reveal() {
  const answer = byId("answer");
  if (answer.getBoundingClientRect().top > window.innerHeight / 2) answer.scrollIntoView();
}

async function ask(file) {
  if (!file) return;
  current = file;
  byId("others").hidden = true;
  const number = ++asked;
  showPicture(file);
  say("Classifying …");
  const body = new FormData();
  body.append("files", file, file.name || "picture");
  body.append("threshold", byId("threshold").value);
  if (byId("tags").checked) body.append("tags", "true");
  const model = encodeURIComponent(byId("model").value);
  await answer(number, () => fetch(`/v1/models/${model}/predict`, { method: "POST", body, headers: WAIT }));
}

async function follow(url, number) {
  await answer(number, () => fetch(url, { headers: WAIT }));
}

async function answer(number, request) {
  try {
    const response = await request();
    const job = await response.json();
    if (number !== asked) return;
    if (response.status === 401) location.reload(); // signed out meanwhile
    else if (!response.ok) complain(job);
    else if (job.done) showResult(job);
    else {
      say("Waiting for a worker …");
      await follow(job.links.self, number);
    }
  } catch {
    if (number === asked) complain({ detail: "The service cannot be reached.", hint: "Is it still running?" });
  }
}

function showPicture(file) {
  const picture = byId("picture");
  if (picture.src.startsWith("blob:")) URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(file);
  picture.hidden = false;
  byId("result").hidden = false;
  byId("problem").hidden = true;
  byId("unsure").hidden = byId("strange").hidden = true;
  byId("decision").textContent = "";
  byId("kinds").replaceChildren();
  showTags(null);
}

function showResult(job) {
  const prediction = job.result?.predictions?.[0];
  if (!prediction || prediction.error) {
    complain(prediction?.error ?? job.error);
    return;
  }
  byId("result").hidden = false;
  const decided = prediction.labels?.join(", ") ?? prediction.decision; // a model of several labels says all of them
  byId("decision").textContent = UNDECIDED[prediction.abstain_reason] ?? decided;
  byId("result").classList.toggle("undecided", prediction.abstained);
  byId("unsure").hidden = prediction.abstain_reason !== "below_threshold";
  byId("strange").hidden = prediction.abstain_reason !== "none_of_these";
  byId("kinds").replaceChildren(...prediction.scores.map(kindRow));
  showTags(prediction.tags, prediction.image);
  const best = prediction.scores[0];
  say(`${byId("decision").textContent}: ${best.label}, ${percent(best.score)}`, "spoken");
  reveal();
}

function showTags(tags, size) {
  const places = byId("places");
  places.replaceChildren(...(tags ?? []).flatMap((tag) => [placeOf(tag), nameOf(tag, size)]));
  if (tags) places.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
  const named = (tags ?? []).map(({ label, score }) => `${label} ${percent(score)}`).join(", ");
  byId("tags-found").hidden = !tags;
  byId("tags-found").textContent = named
    ? `Found, roughly at the boxes (the model was not trained on boxes): ${named}`
    : "No known object was found in any part of it.";
}

function placeOf({ box: [left, upper, right, lower] }) {
  const place = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  const measures = { x: left, y: upper, width: right - left, height: lower - upper };
  for (const [name, value] of Object.entries(measures)) place.setAttribute(name, value);
  return place;
}

function nameOf({ label, box: [left, upper] }, { width, height }) {
  const name = document.createElementNS("http://www.w3.org/2000/svg", "text");
  const measures = { x: left, y: upper, "font-size": Math.max(width, height) / 24 };
  for (const [key, value] of Object.entries(measures)) name.setAttribute(key, value);
  name.textContent = label;
  return name;
}

function kindRow({ label, score }) {
  const row = byId("kind").content.firstElementChild.cloneNode(true);
  row.querySelector(".kind").textContent = label;
  row.querySelector(".share").textContent = percent(score);
  row.querySelector(".fill").setAttribute("width", (100 * score).toFixed(2));
  return row;
}

function percent(share) {
  return share > 0 && share < 0.0005 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`;
}

function say(text, manner = "") {
  byId("status").textContent = text;
  byId("status").className = `status ${manner}`;
}

function complain(problem) {
  say("");
  const strong = document.createElement("strong");
  strong.textContent = problem?.detail || problem?.title || "Something went wrong.";
  byId("problem").replaceChildren(strong, ` ${problem?.hint ?? ""}`);
  byId("problem").hidden = false;
  reveal();
}

function showCall() {
  byId("curl-url").textContent = `${location.origin}/v1/models/${encodeURIComponent(byId("model").value)}/predict`;
}

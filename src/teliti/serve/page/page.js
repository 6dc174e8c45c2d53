"use strict";

const part = (id) => document.getElementById(id);

function add(parent, tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  parent.append(made);
  return made;
}

function headers() {
  return { Authorization: `Bearer ${part("token").value.trim()}` };
}

async function ask(path, options) {
  const answer = await fetch(path, options);
  const said = await answer.json();
  if (!answer.ok && !said.photos) throw new Error(`${said.error.message} ${said.error.hint}`.trim());
  return said;
}

async function listModels() {
  const choice = part("model");
  try {
    const { models } = await ask("/v1/models", { headers: headers() });
    choice.replaceChildren();
    for (const model of models) {
      const option = add(choice, "option", model.name);
      option.value = model.name;
    }
    part("said").textContent = "";
  } catch (error) {
    part("said").textContent = error.message;
  }
}

function asBlob(base64) {
  return new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], { type: "image/png" });
}

function show(file, said) {
  const item = document.createElement("li");
  const picture = add(item, "img", "", "picture");
  picture.alt = "";
  picture.src = URL.createObjectURL(said.heat_map ? asBlob(said.heat_map.png) : file);
  picture.onload = () => URL.revokeObjectURL(picture.src);
  picture.onerror = () => {
    URL.revokeObjectURL(picture.src);
    picture.replaceWith(add(item, "div", "", "picture"));
  };
  const facts = add(item, "div", "", "facts-of");
  const [photo] = said.photos;
  const verdict = photo.verdict ?? photo.score.toPrecision(4);
  const known = ["pass", "reject", "review", "refused"].includes(verdict) ? ` ${verdict}` : "";
  add(facts, "div", verdict, `verdict${known}`);
  add(facts, "div", photo.photo, "name");
  for (const reason of [...photo.reasons, ...(photo.warnings ?? [])]) add(facts, "div", reason, "reason");
  if (said.heat_map) add(facts, "div", `red: what speaks for ${said.heat_map.of}`, "facts");
  if (said.heat_map_note) add(facts, "div", said.heat_map_note, "facts");
  const probs = Object.entries(photo.probs).sort((a, b) => b[1] - a[1]).slice(0, 5);
  const shown = probs.map(([name, p]) => `${name} ${p.toFixed(3)}`).join(", ");
  if (shown) add(facts, "div", shown, "facts");
  add(facts, "div", `model ${said.model_hash.slice(0, 12)}, ${said.total_ms.toFixed(0)} ms, request ${said.request_id}`, "facts");
  part("answers").prepend(item);
}

async function judge(files) {
  if (!part("token").value.trim()) {
    part("said").textContent = "First give the token: the service prints it at its start, or whoever runs it knows it.";
    part("token").focus();
    return;
  }
  for (let at = 0; at < files.length; at += 1) {
    const form = new FormData();
    form.append("photos", files[at]);
    part("said").textContent = `Judging ${at + 1} of ${files.length} ...`;
    const query = new URLSearchParams({ heat_map: part("heat").checked });
    if (part("model").value) query.set("model", part("model").value);
    try {
      show(files[at], await ask(`/v1/predict?${query}`, { method: "POST", headers: headers(), body: form }));
    } catch (error) {
      const left = files.length - at - 1;
      const rest = left ? ` ${left} more ${left === 1 ? "photo was" : "photos were"} not sent.` : "";
      part("said").textContent = `No verdict for ${files[at].name}: ${error.message}${rest}`;
      return;
    }
  }
  part("said").textContent = "";
}

part("form").addEventListener("submit", (event) => event.preventDefault());
part("token").addEventListener("change", listModels);
part("files").addEventListener("change", (event) => {
  const files = [...event.target.files];
  event.target.value = ""; // so that the same photo can be chosen again
  judge(files);
});
for (const name of ["dragover", "dragleave", "drop"]) {
  part("drop").addEventListener(name, (event) => {
    event.preventDefault();
    part("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") judge([...event.dataTransfer.files]);
  });
}

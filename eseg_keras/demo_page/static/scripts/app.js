// Main script: handles user input and shows results. The network runs in scripts/worker.js.

import { openCamera } from "./camera.js";
import { addExamples, addSizes } from "./choices.js";
import { makeLegend } from "./legend.js";
import { makeNetwork } from "./network.js";
import { labelFile, makeResult, overlayFile, summary } from "./result.js";
import { makeView } from "./view.js";

const byId = (id) => document.getElementById(id);
const status = byId("status");
const problem = byId("problem");
const opacity = byId("opacity");

let model, network, loading, view, legend;
let size; // { longSide, enlarge }
let current; // The result on the page.
let latest = 0; // Number of the latest task; results of earlier tasks are discarded.
let repeat = null; // Function that restarts the latest task; null if that task is finished.
let camera = null;

function tell(sentence) {
  status.textContent = sentence;
}

function complain(error) {
  problem.textContent = error.message;
  problem.hidden = false;
  tell("");
}

function setBusy(isBusy) {
  byId("busy").hidden = !isBusy;
  byId("stage").setAttribute("aria-busy", String(isBusy));
}

function startNetwork() {
  const progress = byId("progress");
  progress.hidden = false;
  network = makeNetwork();
  loading = network.load(model.bytes, (loaded, total) => {
    progress.value = Math.min(loaded / total, 1);
  });
  loading.then(({ threads }) => {
    byId("threads").textContent = threads;
    if (!current && problem.hidden) tell("Ready. Choose an image, an example or the camera.");
  }, complain).finally(() => (progress.hidden = true));
}

// Runs a task that the user started, and shows its progress and errors. `task` gets a function that
// returns whether this task is still the latest; `again` starts the same task with new settings.
async function perform(sentence, task, again) {
  const number = ++latest;
  repeat = again;
  const isLatest = () => number === latest;
  problem.hidden = true;
  tell(sentence);
  setBusy(true);
  try {
    await loading;
    await task(isLatest);
  } catch (error) {
    if (error.isBroken) {
      network.stop();
      startNetwork();
    }
    if (isLatest()) complain(error);
  } finally {
    if (isLatest()) {
      setBusy(false);
      repeat = null;
    }
  }
}

function show(result, isFrame) {
  current?.bitmap !== result.bitmap && current?.bitmap.close();
  current = result;
  view.show(result, legend.chosen);
  legend.update(result, isFrame);
  const { bitmap, milliseconds } = result;
  byId("time").textContent = `${Math.round(milliseconds)} ms`;
  byId("photo-size").textContent = `${bitmap.width} × ${bitmap.height}`;
  byId("seen-size").textContent = `${result.width} × ${result.height}`;
  byId("save-labels").disabled = byId("save-overlay").disabled = false;
}

function segment(name, bitmap, isLatest) {
  return network.segment(bitmap, size).then((answer) => {
    if (!isLatest()) {
      if (bitmap !== current?.bitmap) bitmap.close();
      return;
    }
    show(makeResult(name, bitmap, answer), false);
    tell(`${name}: ${Math.round(answer.milliseconds)} ms. ${summary(current, model.names)}`);
  });
}

function openFile(file) {
  stopCamera();
  return perform(`Segmenting ${file.name} …`, async (isLatest) => {
    const bitmap = await network.decode(file);
    if (isLatest()) await segment(file.name, bitmap, isLatest);
    else bitmap.close();
  }, () => openFile(file));
}

function openExample(example) {
  const { file, name } = example;
  stopCamera();
  return perform(`Segmenting ${name} …`, async (isLatest) => {
    const response = await fetch(file);
    if (!response.ok) throw new Error(`The example ${file} is missing: serve the whole folder.`);
    const content = await response.blob();
    const bitmap = await network.decode(new File([content], name, { type: content.type }));
    if (isLatest()) await segment(name, bitmap, isLatest);
    else bitmap.close();
  }, () => openExample(example));
}

function toggleCamera() {
  if (camera) {
    stopCamera();
    tell("The camera is off; its last frame is kept.");
    return undefined;
  }
  return perform("Starting the camera …", async (isLatest) => {
    const opened = await openCamera();
    if (!isLatest()) {
      opened.stop();
      return;
    }
    camera = opened;
    repeat = null; // A running camera needs no restart: each frame uses the current size.
    byId("camera-text").textContent = "Stop the camera";
    tell("The camera is on. Stopping it keeps the last frame.");
    setBusy(false);
    try {
      for (let bitmap; camera === opened && (bitmap = await opened.frame()); ) {
        const answer = await network.segment(bitmap, size);
        if (camera !== opened) {
          bitmap.close();
          break;
        }
        show(makeResult("camera", bitmap, answer), true);
      }
      if (camera === opened) throw new Error("The camera was disconnected. Connect it, and try again.");
    } finally {
      if (camera === opened) stopCamera();
    }
  }, toggleCamera);
}

function stopCamera() {
  camera?.stop();
  camera = null;
  byId("camera-text").textContent = "Use the camera";
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser reads the URL after this function has returned.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  tell(`${name} saved.`);
}

const stem = (name) => name.replace(/\.\w+$/, "");

function connect() {
  byId("choose").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) openFile(file);
    event.target.value = ""; // So that the same file can be chosen again.
  });
  byId("camera").addEventListener("click", toggleCamera);

  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dragging");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    const [file] = event.dataTransfer.files;
    if (file) openFile(file);
    else complain(new Error("The dropped item is not a file. Save the image, and drop the file."));
  });

  const setOpacity = () => {
    byId("opacity-text").textContent = `${opacity.value} %`;
    opacity.setAttribute("aria-valuetext", `${opacity.value} %`);
    view.setOpacity(opacity.value / 100);
  };
  opacity.addEventListener("input", setOpacity);
  setOpacity();

  byId("save-labels").addEventListener("click", async () => {
    const { name } = current;
    save(await labelFile(current, model.palette), `${stem(name)}_labels.png`);
  });
  byId("save-overlay").addEventListener("click", async () => {
    const { name } = current;
    save(await overlayFile(current, view.colors, opacity.value / 100), `${stem(name)}_overlay.png`);
  });
}

function changeSize(choice) {
  size = choice;
  if (repeat) repeat();
  else if (current && !camera) segmentAgain();
}

function segmentAgain() {
  const { name, bitmap } = current;
  return perform("Segmenting again …", (isLatest) => segment(name, bitmap, isLatest), segmentAgain);
}

async function start() {
  byId("not-started").remove();
  byId("app").hidden = false;
  try {
    const response = await fetch("model/model.json");
    model = await response.json();
  } catch {
    complain(new Error("model/model.json cannot be loaded. Check that the whole folder of this page "
      + "is served, and load the page again."));
    byId("progress").hidden = true;
    return;
  }
  document.title = byId("title").textContent = model.title;
  byId("about").textContent = model.about;
  startNetwork();
  view = makeView(model);
  legend = makeLegend(model, () => current && view.paint(legend.chosen));
  size = addSizes(model.sizes, changeSize);
  addExamples(model.examples, openExample);
  connect();
}

start();

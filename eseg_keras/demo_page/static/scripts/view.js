// Shows the image with an overlay of class colours, and the class under the pointer or the cross.

import { labelAt, summary } from "./result.js";

const DARK = [16, 18, 20];
const LIGHT = [246, 247, 248];
const byId = (id) => document.getElementById(id);

/** Returns { show, paint, setOpacity, colors } for a model with { names, palette }. */
export function makeView({ names, palette }) {
  const picture = byId("picture");
  const photo = byId("photo");
  const colors = byId("overlay");
  const tip = byId("tip");
  const cross = byId("cross");
  const at = { x: 0.5, y: 0.5 };
  let result;

  // Returns the colour of classes that are not highlighted: dark if the highlighted classes have
  // bright colours, else light.
  function veil(chosen) {
    const brightness = [...chosen].map((label) => {
      const [red, green, blue] = palette[label];
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    });
    return brightness.reduce((a, b) => a + b, 0) / chosen.size > 110 ? DARK : LIGHT;
  }

  // Paints the overlay. `chosen` is the set of highlighted classes; if it is empty, all classes keep
  // their colours.
  function paint(chosen) {
    const { labels, width, height } = result;
    const bytes = new Uint8ClampedArray(4);
    const table = new Uint32Array(256);
    const cover = veil(chosen);
    for (let label = 0; label < 256; label++) {
      const color = chosen.size && !chosen.has(label) ? cover : palette[label] ?? DARK;
      bytes.set([...color, 255]);
      [table[label]] = new Uint32Array(bytes.buffer);
    }
    const pixels = new ImageData(width, height);
    const words = new Uint32Array(pixels.data.buffer);
    for (let pixel = 0; pixel < labels.length; pixel++) words[pixel] = table[labels[pixel]];
    colors.width = width;
    colors.height = height;
    colors.getContext("2d").putImageData(pixels, 0, 0);
  }

  function show(newResult, chosen) {
    result = newResult;
    const { width, height } = result.bitmap;
    if (photo.width !== width || photo.height !== height) {
      photo.width = width;
      photo.height = height;
      picture.style.setProperty("--ratio", width / height);
    }
    photo.getContext("2d").drawImage(result.bitmap, 0, 0);
    paint(chosen);
    const words = summary(result, names);
    byId("summary").textContent = words;
    picture.setAttribute("aria-label", `Segmented image ${result.name}`);
    picture.hidden = false;
    byId("invitation").hidden = true;
    byId("stage").classList.remove("empty");
    if (!cross.hidden || !tip.hidden) point();
  }

  // Shows the name of the class at the position `at`, and returns the name.
  function point() {
    const name = names[labelAt(result, at.x, at.y)];
    tip.textContent = name;
    tip.hidden = false;
    tip.style.left = cross.style.left = `${100 * at.x}%`;
    tip.style.top = cross.style.top = `${100 * at.y}%`;
    tip.classList.toggle("left", at.x > 0.7);
    tip.classList.toggle("above", at.y > 0.8);
    return name;
  }

  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    at.x = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    at.y = Math.min(Math.max((event.clientY - box.top) / box.height, 0), 1);
    cross.hidden = true;
    point();
  });
  picture.addEventListener("pointerleave", () => {
    tip.hidden = cross.hidden;
  });
  picture.addEventListener("blur", () => {
    tip.hidden = cross.hidden = true;
  });

  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  picture.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      tip.hidden = cross.hidden = true;
      return;
    }
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    const step = event.shiftKey ? 0.1 : 0.02;
    if (!cross.hidden) {
      at.x = Math.min(Math.max(at.x + move[0] * step, 0), 1);
      at.y = Math.min(Math.max(at.y + move[1] * step, 0), 1);
    }
    cross.hidden = false;
    byId("spoken").textContent = point();
  });

  return { show, paint, colors, setOpacity: (share) => (colors.style.opacity = share) };
}

// The result for one image: its label map, pixel counts of the classes, and files to download.

import { palettePng } from "./png.js";

/** Returns a result from an ImageBitmap and the worker's answer. */
export function makeResult(name, bitmap, answer) {
  const counts = new Uint32Array(256);
  for (const label of answer.labels) counts[label]++;
  return { name, bitmap, counts, ...answer };
}

/** Returns the class id at a position in the image, x and y from 0 to 1. */
export function labelAt({ labels, width, height }, x, y) {
  const column = Math.min(Math.floor(x * width), width - 1);
  return labels[Math.min(Math.floor(y * height), height - 1) * width + column];
}

/** Returns sentences on the largest classes, for screen readers. */
export function summary({ counts, labels }, names) {
  const order = names.map((_, label) => label).filter((label) => counts[label]);
  order.sort((a, b) => counts[b] - counts[a]);
  const parts = order.slice(0, 5).map((label) => `${names[label]} ${share(counts[label], labels)}`);
  return `${order.length} ${order.length === 1 ? "class" : "classes"} in the image. `
    + `${order.length > 5 ? "The largest: " : ""}${parts.join(", ")}.`;
}

/** Returns a count of pixels as a share of all pixels, such as "12 %" or "0.3 %". */
export function share(count, labels) {
  const percent = (100 * count) / labels.length;
  if (count && percent < 0.1) return "< 0.1 %";
  return `${percent.toFixed(percent < 10 && count ? 1 : 0)} %`;
}

/** Returns a PNG file of the label map, resized to the image's size with nearest neighbours. */
export function labelFile(result, palette) {
  const { width, height } = result.bitmap;
  if (width === result.width && height === result.height) {
    return palettePng(result.labels, width, height, palette);
  }
  const columns = Uint32Array.from({ length: width }, (_, x) =>
    Math.floor(((x + 0.5) * result.width) / width));
  const labels = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(((y + 0.5) * result.height) / height) * result.width;
    for (let x = 0; x < width; x++) labels[y * width + x] = result.labels[row + columns[x]];
  }
  return palettePng(labels, width, height, palette);
}

/** Returns a PNG file of the image, of its original size, with the canvas `colors` as an overlay. */
export function overlayFile({ bitmap }, colors, opacity) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  context.imageSmoothingEnabled = false;
  context.globalAlpha = opacity;
  context.drawImage(colors, 0, 0, bitmap.width, bitmap.height);
  return canvas.convertToBlob({ type: "image/png" });
}

// Runs the network in another thread than the page, so that the page stays responsive.
//
// Receives messages { id, task: "load" | "decode" | "segment", ... }. Sends messages with the same
// id and `result`, `problem` (a message for the user) and `isBroken`, or, while loading, `loaded`
// and `total` bytes.

import * as ort from "../onnxruntime/ort.wasm.bundle.min.js";
import { decode, rgb } from "./pixels.js";
import { resize } from "./resize.js";

const WASM = new URL("../onnxruntime/ort-wasm-simd-threaded.wasm", import.meta.url);
const NETWORK = new URL("../model/model.onnx", import.meta.url);
const SMALLEST_SIDE = 32;
const MOST_THREADS = 8;

let session;

class Broken extends Error {}

async function load({ bytes }, report) {
  const loaded = [0, 0];
  const counted = (index) => (count) => {
    loaded[index] = count;
    report({ loaded: loaded[0] + loaded[1], total: bytes });
  };
  const [wasm, network] = await Promise.all([
    download(WASM, counted(0)), download(NETWORK, counted(1)),
  ]);
  ort.env.wasm.wasmBinary = wasm;
  // Threads need shared memory, which browsers allow only on cross-origin isolated pages.
  const cores = Math.ceil(navigator.hardwareConcurrency / 2);
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(Math.max(cores, 2), MOST_THREADS) : 1;
  try {
    session = await ort.InferenceSession.create(network, { executionProviders: ["wasm"] });
    // The first run is slower: run a small image before the user's first image.
    await run(new Uint8Array(64 * 64 * 3), 64, 64);
  } catch (error) {
    throw new Error(`The neural network cannot be started in this browser (${error.message ?? error}). `
      + "Update the browser, or use another one.");
  }
  return { threads: ort.env.wasm.numThreads };
}

async function download(url, report) {
  let response;
  try {
    response = await fetch(url);
    if (!response.ok) throw new Error(`status ${response.status}`);
    const parts = [];
    let count = 0;
    const reader = response.body.getReader();
    for (let part; !(part = await reader.read()).done; ) {
      parts.push(part.value);
      report((count += part.value.length));
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  } catch (error) {
    throw new Error(`${url.pathname.split("/").pop()} cannot be loaded (${error.message}). Check `
      + "that the whole folder of this page is served, and load the page again.");
  }
}

async function segment({ bitmap, longSide, enlarge }) {
  const start = performance.now();
  const { width, height } = bitmap;
  const scale = longSide ? longSide / Math.max(width, height) : 1;
  const seen = scale < 1 || enlarge
    ? [width, height].map((side) => Math.max(1, Math.floor(side * scale + 0.5))) : [width, height];
  if (Math.min(...seen) < SMALLEST_SIDE) {
    throw new Error(`The image is ${width} × ${height} pixels`
      + (scale < 1 ? `, resized to ${seen.join(" × ")}` : "")
      + `; the network needs at least ${SMALLEST_SIDE} × ${SMALLEST_SIDE}. `
      + (scale < 1 ? "Choose a larger working size." : "Choose a larger image."));
  }
  const pixels = resize(rgb(bitmap), width, height, ...seen);
  bitmap.close(); // This is a copy; the page keeps its own bitmap.
  const ready = performance.now();
  let labels;
  try {
    labels = await run(pixels, ...seen);
  } catch (error) {
    // The error may have corrupted the worker's memory: the page starts another worker.
    throw new Broken(`The neural network failed at ${seen.join(" × ")} pixels (${error.message ?? error}). `
      + "Choose a smaller working size.");
  }
  const end = performance.now();
  return { labels, width: seen[0], height: seen[1], milliseconds: end - start, network: end - ready };
}

async function run(pixels, width, height) {
  const images = new ort.Tensor("uint8", new Uint8Array(pixels.buffer), [1, height, width, 3]);
  const { labels } = await session.run({ images });
  return labels.data;
}

self.addEventListener("message", async ({ data }) => {
  const report = (progress) => self.postMessage({ id: data.id, ...progress });
  try {
    if (data.task === "load") {
      report({ result: await load(data, report) });
    } else if (data.task === "decode") {
      const bitmap = await decode(data.file);
      self.postMessage({ id: data.id, result: bitmap }, [bitmap]);
    } else {
      const result = await segment(data);
      self.postMessage({ id: data.id, result }, [result.labels.buffer]);
    }
  } catch (error) {
    report({ problem: error.message ?? String(error), isBroken: error instanceof Broken });
  }
});

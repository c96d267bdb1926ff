// Sends tasks to scripts/worker.js and receives the results.

// A worker that is started from a blob inherits the page's security policy, which blocks requests
// to other servers.
function startWorker() {
  const script = new URL("worker.js", import.meta.url).href;
  const start = new Blob([`import ${JSON.stringify(script)};`], { type: "text/javascript" });
  return new Worker(URL.createObjectURL(start), { type: "module" });
}

function failure(sentence, isBroken) {
  return Object.assign(new Error(sentence), { isBroken });
}

// In WebKit, a bitmap that was received from a worker is blank when it is sent to a worker again.
async function ownCopy(sent) {
  const bitmap = await createImageBitmap(sent);
  sent.close();
  return bitmap;
}

/**
 * Returns { load, decode, segment, stop }. The first three return promises, which reject with an
 * Error with a message for the user. If the error's `isBroken` is true, the worker has failed:
 * call `stop`, and then this function again.
 */
export function makeNetwork() {
  const waiting = new Map();
  let count = 0;
  const worker = startWorker();

  worker.addEventListener("message", ({ data }) => {
    // If one of two downloads failed, the progress of the other is ignored.
    if (!waiting.has(data.id)) return;
    const { resolve, reject, report } = waiting.get(data.id);
    if ("loaded" in data) {
      report?.(data.loaded, data.total);
      return;
    }
    waiting.delete(data.id);
    if ("problem" in data) reject(failure(data.problem, data.isBroken));
    else resolve(data.result);
  });
  worker.addEventListener("error", (event) => {
    const why = event.message || "a part of this page is missing";
    const problem = failure(`The neural network stopped (${why}). Load the page again.`, true);
    for (const { reject } of waiting.values()) reject(problem);
    waiting.clear();
  });

  const ask = (message, report) => new Promise((resolve, reject) => {
    const id = count++;
    waiting.set(id, { resolve, reject, report });
    worker.postMessage({ id, ...message });
  });
  return {
    load: (bytes, report) => ask({ task: "load", bytes }, report),
    decode: (file) => ask({ task: "decode", file }).then(ownCopy),
    segment: (bitmap, size) => ask({ task: "segment", bitmap, ...size }),
    stop: () => {
      worker.terminate();
      const problem = failure("The neural network was restarted. Try again.", false);
      for (const { reject } of waiting.values()) reject(problem);
      waiting.clear();
    },
  };
}

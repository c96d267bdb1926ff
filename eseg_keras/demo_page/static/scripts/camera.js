// Frames of the camera, one after the other.

const PROBLEMS = {
  NotAllowedError: "The camera may not be used: allow it in the browser's settings for this page, "
    + "and try again.",
  NotFoundError: "This device has no camera that the browser can see. Connect one, or choose an image.",
  NotReadableError: "The camera is in use by another program. Close that, and try again.",
};

/** Opens the camera and returns { frame, stop }; fails with an Error that is a sentence. */
export async function openCamera() {
  if (!navigator.mediaDevices) {
    throw new Error("Browsers allow the camera only for pages on localhost or over https. Choose an "
      + "image, or serve this page over https.");
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } },
    });
  } catch (error) {
    throw new Error(PROBLEMS[error.name] ?? `The camera cannot be used (${error.message}).`);
  }
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.srcObject = stream;
  await video.play();
  return {
    // The next frame, an ImageBitmap; null once the camera is disconnected. Hidden pages get no
    // animation frames: nothing is computed for them.
    async frame() {
      await new Promise(requestAnimationFrame);
      return stream.active ? createImageBitmap(video) : null;
    },
    stop() {
      for (const track of stream.getTracks()) track.stop();
    },
  };
}

// Reads frames of the camera.

const PROBLEMS = {
  NotAllowedError: "The browser blocks the camera: allow the camera in the browser's settings for "
    + "this page, and try again.",
  NotFoundError: "This device has no camera that the browser can see. Connect one, or choose an image.",
  NotReadableError: "Another program uses the camera. Close that program, and try again.",
};

/** Opens the camera and returns { frame, stop }; throws an Error with a message for the user. */
export async function openCamera() {
  if (!navigator.mediaDevices) {
    throw new Error("Browsers allow the camera only for pages on localhost or over https. Choose an "
      + "image, or serve this page over https.");
  }
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  let stream;
  const stop = () => stream?.getTracks().forEach((track) => track.stop());
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } },
    });
    video.srcObject = stream;
    await video.play();
  } catch (error) {
    stop();
    throw new Error(PROBLEMS[error.name] ?? `The camera cannot be used (${error.message}).`);
  }
  return {
    // Returns the next frame, an ImageBitmap, or null if the camera is disconnected. Waits for an
    // animation frame; hidden pages get no animation frames and therefore compute nothing.
    async frame() {
      await new Promise(requestAnimationFrame);
      return stream.active ? createImageBitmap(video) : null;
    },
    stop,
  };
}

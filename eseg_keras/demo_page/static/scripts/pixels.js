// Decodes image files to the same pixels as `read_image` in Python: EXIF rotation is applied, colour
// profiles are ignored, and transparency is dropped.

const AS_STORED = { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" };

/** Decodes an image file to an opaque ImageBitmap; throws an Error with a message for the user. */
export async function decode(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, AS_STORED);
  } catch {
    throw new Error(`${file.name || "The file"} cannot be read as an image by this browser. Use an `
      + "undamaged JPEG, PNG or WebP file.");
  }
  if (file.type === "image/jpeg") return bitmap;
  const { width, height } = bitmap;
  const pixels = rgba(bitmap);
  if (isOpaque(pixels)) return bitmap;
  // A 2D canvas premultiplies colours by alpha, and loses the colours of fully transparent pixels.
  const colors = withoutTransparency(bitmap) ?? pixels;
  for (let at = 3; at < colors.length; at += 4) colors[at] = 255;
  return createImageBitmap(new ImageData(colors, width, height));
}

function isOpaque(pixels) {
  for (let at = 3; at < pixels.length; at += 4) if (pixels[at] < 255) return false;
  return true;
}

/** Returns the RGB bytes of an opaque ImageBitmap. */
export function rgb(bitmap) {
  const pixels = rgba(bitmap);
  const bytes = new Uint8Array((pixels.length / 4) * 3);
  for (let from = 0, to = 0; from < pixels.length; from += 4, to += 3) {
    bytes[to] = pixels[from];
    bytes[to + 1] = pixels[from + 1];
    bytes[to + 2] = pixels[from + 2];
  }
  return bytes;
}

function rgba(bitmap) {
  const { width, height } = bitmap;
  try {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    return context.getImageData(0, 0, width, height).data;
  } catch {
    throw new Error(`The image of ${width} × ${height} pixels is too large for this browser. `
      + "Choose a smaller one.");
  }
}

// Returns the colours, not premultiplied by alpha, read with WebGL; null if WebGL cannot read them.
function withoutTransparency(bitmap) {
  const { width, height } = bitmap;
  const gl = new OffscreenCanvas(1, 1).getContext("webgl");
  if (!gl || Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return null;
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(
    gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, gl.getParameter(gl.TEXTURE_BINDING_2D), 0);
  const pixels = new Uint8ClampedArray(width * height * 4);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(pixels.buffer));
  return pixels;
}

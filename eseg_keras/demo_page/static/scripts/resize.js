// Bilinear resizing, equal to Pillow's bit for bit. The filter is a triangle, wider if the image
// shrinks, with fixed-point weights. Images are resized along the width, rounded to bytes, and then
// resized along the height. The network was trained on images that were resized in this way.

const FRACTION = 22;

// Returns, for each output pixel, the index of its first input pixel and the weights of this and the
// following input pixels.
function taps(from, to) {
  const scale = from / to;
  const reach = Math.max(scale, 1);
  return Array.from({ length: to }, (_, index) => {
    const centre = (index + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const last = Math.min(Math.trunc(centre + reach + 0.5), from);
    const shares = [];
    for (let pixel = first; pixel < last; pixel++) {
      shares.push(Math.max(1 - Math.abs((pixel - centre + 0.5) / reach), 0));
    }
    const sum = shares.reduce((a, b) => a + b, 0);
    const weights = shares.map((share) => Math.trunc(0.5 + (share / sum) * 2 ** FRACTION));
    return { first, weights: Int32Array.from(weights) };
  });
}

// Resizes `lines` lines of pixels along one axis. `stepIn` and `stepOut` are the distances in
// bytes between neighbouring pixels of a line, `lineIn` and `lineOut` those between lines.
function along(input, output, table, stepIn, stepOut, lines, lineIn, lineOut) {
  for (let line = 0; line < lines; line++) {
    for (let index = 0; index < table.length; index++) {
      const { first, weights } = table[index];
      let at = line * lineIn + first * stepIn;
      let red = 1 << (FRACTION - 1), green = red, blue = red;
      for (let tap = 0; tap < weights.length; tap++, at += stepIn) {
        const weight = weights[tap];
        red += input[at] * weight;
        green += input[at + 1] * weight;
        blue += input[at + 2] * weight;
      }
      const to = line * lineOut + index * stepOut;
      output[to] = red >> FRACTION;
      output[to + 1] = green >> FRACTION;
      output[to + 2] = blue >> FRACTION;
    }
  }
  return output;
}

/** Resizes an image, RGB bytes, from width x height to newWidth x newHeight. */
export function resize(rgb, width, height, newWidth, newHeight) {
  if (newWidth !== width) {
    rgb = along(rgb, new Uint8ClampedArray(newWidth * height * 3), taps(width, newWidth),
      3, 3, height, width * 3, newWidth * 3);
  }
  if (newHeight !== height) {
    rgb = along(rgb, new Uint8ClampedArray(newWidth * newHeight * 3), taps(height, newHeight),
      newWidth * 3, newWidth * 3, newWidth, 3, 3);
  }
  return rgb;
}

"use strict";
// In a worker: the network on a picture, tile by tile, and bicubic beside it. It is told once what
// the network is, then one thing at a time. Its helpers are workers of the same kind, one for each
// other core, that are given tiles; they end with it.
const TILE = { least: 96, most: 256 }; // LR pixels of a side, without what a tile overlaps
const LEAST = 4; // the shortest side whose mirrored neighbours four taps find
const CORES = Math.min(navigator.hardwareConcurrency || 1, 8);
let graph, output, about, told, helpers = [];

onmessage = async ({ data }) => {
  try {
    if (data.model) await load(data);
    else if (data.lr) answerTile(data);
    else await answer(data);
  } catch (error) {
    postMessage({ error: error.message || String(error) });
  }
};

function helper() {
  // Of an address of its own: a page without a server has no origin that this worker shares.
  const worker = new Worker(URL.createObjectURL(new Blob([told.code], { type: "text/javascript" })));
  const asked = (message, transferred = []) => new Promise((done, failed) => {
    worker.onerror = (event) => failed(new Error(event.message || "a worker does not start"));
    worker.onmessage = ({ data }) => (data.error === undefined ? done(data) : failed(new Error(data.error)));
    worker.postMessage(message, transferred);
  });
  const ready = asked(told);
  return async (lr) => {
    await ready;
    const { sr } = await asked({ ...lr, lr: lr.data }, [lr.data.buffer]);
    return larger(lr, sr);
  };
}

function bytesOf(text) {
  const binary = atob(text);
  return Uint8Array.from(binary, (one) => one.charCodeAt(0));
}

async function load(message) {
  const { model, wasm, facts } = told = message;
  if (!(await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT")))
    throw new Error("this browser has no WebAssembly with SIMD; every one since 2023 has");
  const address = URL.createObjectURL(new Blob([bytesOf(wasm)], { type: "application/wasm" }));
  const names = ["tfjs-backend-wasm.wasm", "tfjs-backend-wasm-simd.wasm", "tfjs-backend-wasm-threaded-simd.wasm"];
  tf.wasm.setWasmPaths(Object.fromEntries(names.map((name) => [name, address])), true);
  await tf.setBackend("wasm");
  const { topology, specs, weights } = model;
  graph = await tf.loadGraphModel(tf.io.fromMemory({
    modelTopology: topology, weightSpecs: specs, weightData: bytesOf(weights).buffer }));
  output = model.output;
  about = facts;
  postMessage({ ready: true });
}

// `[h, w, channels]` floats in [0, 1] -> `[h * scale, w * scale, channels]`.
function forward(lr) {
  const data = tf.tidy(() => {
    const given = tf.tensor4d(lr.data, [1, lr.height, lr.width, lr.channels]);
    return graph.execute({ lr: given }, output).dataSync();
  });
  return larger(lr, data);
}

function larger(lr, data) {
  const height = lr.height * about.scale, width = lr.width * about.scale;
  return { data, height, width, channels: data.length / (height * width) };
}

function empty(height, width, channels) {
  return { data: new Float32Array(height * width * channels), height, width, channels };
}

function cut(image, top, left, height, width) {
  const part = empty(height, width, image.channels);
  const row = width * image.channels;
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * image.channels;
    part.data.set(image.data.subarray(from, from + row), y * row);
  }
  return part;
}

function paste(part, fromTop, fromLeft, height, width, into, top, left) {
  const row = width * into.channels;
  for (let y = 0; y < height; y++) {
    const from = ((fromTop + y) * part.width + fromLeft) * into.channels;
    into.data.set(part.data.subarray(from, from + row), ((top + y) * into.width + left) * into.channels);
  }
}

// The pixel that a place outside stands for: edges are mirrored, the last pixel twice.
function mirrored(at, side) {
  const turn = ((at % (2 * side)) + 2 * side) % (2 * side);
  return turn < side ? turn : 2 * side - 1 - turn;
}

function filled(image, height, width) {
  if (height === image.height && width === image.width) return image;
  const larger = empty(height, width, image.channels);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < image.channels; c++)
        larger.data[(y * width + x) * image.channels + c] = image.data[
          (mirrored(y, image.height) * image.width + mirrored(x, image.width)) * image.channels + c];
  return larger;
}

// Each tile overlaps its neighbours by all that an SR pixel depends on, so the whole is as if made
// at once.
async function network(image, progress) {
  const { scale, sides_divide_by: multiple, reach_in_lr_pixels: reach } = about;
  const divisible = (side) => Math.ceil(side / multiple) * multiple;
  const lr = filled(image, ...[image.height, image.width].map((side) => divisible(Math.max(side, LEAST))));
  const wanted = Math.sqrt(lr.height * lr.width / (2 * CORES)); // two tiles for each core
  const side = reach === null ? Infinity : divisible(Math.min(Math.max(wanted, TILE.least), TILE.most));
  const overlap = reach === null ? 0 : divisible(reach);
  const places = [];
  for (let top = 0; top < lr.height; top += side)
    for (let left = 0; left < lr.width; left += side) places.push([top, left]);
  let sr = null, next = 0, done = 0;
  const work = async (enlarge) => {
    while (next < places.length) {
      const [top, left] = places[next++];
      const [bottom, right] = [Math.min(top + side, lr.height), Math.min(left + side, lr.width)];
      const [y0, x0] = [Math.max(0, top - overlap), Math.max(0, left - overlap)];
      const [y1, x1] = [Math.min(bottom + overlap, lr.height), Math.min(right + overlap, lr.width)];
      const part = await enlarge(cut(lr, y0, x0, y1 - y0, x1 - x0));
      sr ??= empty(lr.height * scale, lr.width * scale, part.channels);
      paste(part, (top - y0) * scale, (left - x0) * scale, (bottom - top) * scale,
        (right - left) * scale, sr, top * scale, left * scale);
      progress(++done / places.length);
    }
  };
  // With helpers, this worker only cuts and pastes.
  const crew = Math.min(CORES, places.length);
  while (crew > 1 && helpers.length < crew) helpers.push(helper());
  await Promise.all(crew > 1 ? helpers.slice(0, crew).map(work) : [work(forward)]);
  return lr === image ? sr : cut(sr, 0, 0, image.height * scale, image.width * scale);
}

// Keys' cubic, a = -1/2, the centres of pixels at halves, edges mirrored.
function cubic(x) {
  const t = Math.abs(x);
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
  return t < 2 ? ((-0.5 * t + 2.5) * t - 4) * t + 2 : 0;
}

function bicubic(image, scale) {
  const along = (from, outer, side, inner) => {
    const into = new Float32Array(from.length * scale);
    for (let at = 0; at < side * scale; at++) {
      const centre = (at + 0.5) / scale - 0.5, first = Math.floor(centre) - 1;
      const taps = [0, 1, 2, 3].map((tap) => [mirrored(first + tap, side), cubic(centre - first - tap)]);
      for (let o = 0; o < outer; o++)
        for (let i = 0; i < inner; i++) {
          let sum = 0;
          for (const [place, weight] of taps) sum += weight * from[(o * side + place) * inner + i];
          into[(o * side * scale + at) * inner + i] = sum;
        }
    }
    return into;
  };
  const { height, width, channels } = image;
  const rows = along(image.data, 1, height, width * channels);
  const data = along(rows, height * scale, width, channels);
  return { data, height: height * scale, width: width * scale, channels };
}

// ITU-R BT.601, studio range over 255, as the network was trained.
const FORWARD = [[65.481, 128.553, 24.966], [-37.797, -74.203, 112], [112, -93.786, -18.214]];
const BACK = [[1.164383561644, 0, 1.596026785714], [1.164383561644, -0.391762290094, -0.812967647238],
  [1.164383561644, 2.017232142857, 0]]; // over 255, after the offset is taken
const OFFSET = [16, 128, 128];

function mixed(image, rows, before, after, factor) {
  const made = empty(image.height, image.width, 3);
  for (let at = 0; at < made.data.length; at += 3)
    for (let row = 0; row < 3; row++) {
      let sum = after[row];
      for (let c = 0; c < 3; c++) sum += rows[row][c] * (image.data[at + c] * factor - before[c]);
      made.data[at + row] = sum / 255;
    }
  return made;
}

async function lumaAlone(rgb, progress) {
  const colours = mixed(rgb, FORWARD, [0, 0, 0], OFFSET, 1);
  const luma = empty(rgb.height, rgb.width, 1);
  for (let at = 0; at < luma.data.length; at++) luma.data[at] = colours.data[3 * at];
  const [sr, large] = [await network(luma, progress), bicubic(colours, about.scale)];
  for (let at = 0; at < sr.data.length; at++) large.data[3 * at] = sr.data[at];
  return mixed(large, BACK, OFFSET, [0, 0, 0], 255);
}

// What a program left in pixels that cannot be seen is replaced by what is around them: means
// weighted with alpha over squares of 2, 4, 8, ... pixels, the smallest with something in it.
function visible(colour, alpha) {
  const { height, width } = alpha;
  const sums = new Float32Array(height * width * 4);
  for (let at = 0; at < height * width; at++) {
    const weight = alpha.data[at];
    for (let c = 0; c < 3; c++) sums[4 * at + c] = colour.data[3 * at + c] * weight;
    sums[4 * at + 3] = weight;
  }
  const means = meansOf(sums, height, width);
  const made = empty(height, width, 3);
  for (let at = 0; at < height * width; at++)
    for (let c = 0; c < 3; c++)
      made.data[3 * at + c] = alpha.data[at] ? colour.data[3 * at + c] : means[3 * at + c];
  return made;
}

function meansOf(sums, height, width) {
  const means = new Float32Array(height * width * 3);
  let clear = false;
  for (let at = 0; at < height * width; at++) {
    const weight = sums[4 * at + 3];
    clear ||= weight === 0;
    for (let c = 0; c < 3; c++) means[3 * at + c] = weight ? sums[4 * at + c] / weight : 0;
  }
  if (!clear || Math.max(height, width) === 1) return means;
  const [h, w] = [Math.ceil(height / 2), Math.ceil(width / 2)];
  const coarse = new Float32Array(h * w * 4);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 4; c++)
        coarse[4 * ((y >> 1) * w + (x >> 1)) + c] += sums[4 * (y * width + x) + c];
  const larger = meansOf(coarse, h, w);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      if (sums[4 * at + 3] === 0)
        for (let c = 0; c < 3; c++) means[3 * at + c] = larger[3 * ((y >> 1) * w + (x >> 1)) + c];
    }
  return means;
}

// Bicubic, kept between the least and the most of the 3x3 pixels that it lies in: no halo.
function largerAlpha(alpha) {
  const { scale } = about, large = bicubic(alpha, scale);
  for (let y = 0; y < large.height; y++)
    for (let x = 0; x < large.width; x++) {
      const [row, column] = [Math.floor(y / scale), Math.floor(x / scale)];
      let low = 1, high = 0;
      for (let v = Math.max(0, row - 1); v <= Math.min(alpha.height - 1, row + 1); v++)
        for (let u = Math.max(0, column - 1); u <= Math.min(alpha.width - 1, column + 1); u++) {
          low = Math.min(low, alpha.data[v * alpha.width + u]);
          high = Math.max(high, alpha.data[v * alpha.width + u]);
        }
      const at = y * large.width + x;
      large.data[at] = Math.min(high, Math.max(low, large.data[at]));
    }
  return large;
}

// Colour and alpha as a canvas takes them: rounded half up.
function as8bit(colour, alpha) {
  const made = new Uint8ClampedArray(colour.height * colour.width * 4);
  const level = (value) => Math.floor(Math.min(1, Math.max(0, value)) * 255 + 0.5);
  for (let at = 0; at < colour.height * colour.width; at++) {
    for (let c = 0; c < 3; c++) made[4 * at + c] = level(colour.data[3 * at + c]);
    made[4 * at + 3] = alpha ? level(alpha.data[at]) : 255;
  }
  return made;
}

async function answer({ rgba, height, width }) {
  const begun = performance.now();
  let colour = empty(height, width, 3), alpha = null;
  for (let at = 0; at < height * width; at++)
    for (let c = 0; c < 3; c++) colour.data[3 * at + c] = rgba[4 * at + c] / 255;
  if (rgba.some((value, at) => at % 4 === 3 && value < 255)) {
    alpha = empty(height, width, 1);
    for (let at = 0; at < height * width; at++) alpha.data[at] = rgba[4 * at + 3] / 255;
    colour = visible(colour, alpha);
  }
  const progress = (share) => postMessage({ share });
  const one = graph.inputs[0].shape[3] === 1;
  const large = alpha && largerAlpha(alpha);
  const result = as8bit(await (one ? lumaAlone : network)(colour, progress), large);
  const beside = as8bit(bicubic(colour, about.scale), large);
  const seconds = (performance.now() - begun) / 1000;
  postMessage({ result, beside, height: height * about.scale, width: width * about.scale, seconds },
    [result.buffer, beside.buffer]);
}

// The network alone, on floats.
function answerTile({ lr, height, width, channels }) {
  const { data } = forward({ data: lr, height, width, channels });
  postMessage({ sr: data }, [data.buffer]);
}

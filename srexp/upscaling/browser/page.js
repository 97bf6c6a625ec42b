// The page that `srexp export --format html` writes: everything is in this file.
// Of a result: what browsers' canvases hold, and what takes a gigabyte of memory on the way.
const LARGEST = { side: 16384, pixels: 50e6 };
const text = (id) => $(id).textContent;
const facts = JSON.parse(text("known"));
let worker = null, turn = 0;
$("times").textContent = `${facts.scale} times`;
$("name").textContent = `${facts.run ?? facts.bundled}, made by ${facts.made_by}`;
$("limits").textContent = `results up to ${LARGEST.pixels / 1e6} megapixels`;

// A worker that has the network. Stopping it is how work is cancelled.
function started() {
  const code = text("tfjs") + text("worker"), blob = new Blob([code], { type: "text/javascript" });
  const made = new Worker(URL.createObjectURL(blob));
  made.postMessage({ model: JSON.parse(text("model")), wasm: text("wasm").trim(), facts, code });
  return answered(made).then(() => made);
}

// The next message that is not about progress.
function answered(from, told = () => {}) {
  return new Promise((done, failed) => {
    from.onerror = (event) => failed(new Error(event.message || "the browser does not start a worker"));
    from.onmessage = ({ data }) => {
      if (data.error !== undefined) failed(new Error(data.error));
      else if (data.share !== undefined) told(data.share);
      else done(data);
    };
  });
}

function stop() {
  turn += 1;
  worker?.then((made) => made.terminate(), () => {});
  worker = null;
}

async function pixelsOf(file) {
  let image;
  try { image = await createImageBitmap(file, { premultiplyAlpha: "none" }); }
  catch { throw new Error(`${file.name || "this"} is not a picture that this browser can read`); }
  const { width, height } = image, { scale } = facts;
  if (Math.max(width, height) * scale > LARGEST.side || width * height * scale ** 2 > LARGEST.pixels)
    throw new Error(`${width} x ${height} pixels would become ${width * scale} x ${height * scale}; `
      + `at most ${LARGEST.side} to a side and ${LARGEST.pixels / 1e6} megapixels are made in a browser`);
  const drawn = new OffscreenCanvas(width, height).getContext("2d");
  drawn.drawImage(image, 0, 0);
  return drawn.getImageData(0, 0, width, height);
}

function asPng(rgba, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

viewer.enlarge = async () => {
  if (!$("work").hidden) stop();
  const mine = ++turn;
  fault("");
  progress("reading");
  try {
    const { data, width, height } = await pixelsOf(viewer.file);
    worker ??= started();
    const ready = await worker;
    if (mine !== turn) return;
    progress("0 % done", 0);
    ready.postMessage({ rgba: data, width, height });
    const made = await answered(ready, (share) => {
      if (mine === turn) progress(`${Math.round(100 * share)} % done`, share);
    });
    if (mine !== turn) return;
    const blobs = await Promise.all(
      [made.result, made.beside].map((one) => asPng(one, made.width, made.height)));
    if (mine !== turn) return;
    show([blobs[0], ...blobs], {
      before: [width, height], after: [made.width, made.height], extension: ".png",
      seconds: made.seconds, format: "PNG", remarks: [] });
  } catch (error) {
    if (mine === turn) { stop(); turn = mine; fault(error.message); }
  } finally {
    if (mine === turn) $("work").hidden = true;
  }
};
viewer.cancel = stop;

// For `srexp export`, which tries the file: it sends that all is ready, or what the network makes of
// one LR.
if ($("check")) {
  const { lr, height, width, channels, address } = JSON.parse(text("check"));
  let body;
  try {
    const ready = await started();
    if (lr === null) body = "ready";
    else {
      const floats = new Float32Array(Uint8Array.from(atob(lr), (one) => one.charCodeAt(0)).buffer);
      ready.postMessage({ lr: floats, height, width, channels });
      body = (await answered(ready)).sr;
    }
  } catch (error) { body = `error:${error.message}`; }
  await fetch(address, { method: "POST", mode: "no-cors", body });
}

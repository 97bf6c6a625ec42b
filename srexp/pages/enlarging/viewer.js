"use strict";
// What every page that enlarges does: a picture is dropped, pasted or chosen, and its result is
// shown beside bicubic. The page that uses it says how: `viewer.enlarge` and `viewer.cancel`.
const $ = (id) => document.getElementById(id);
const viewer = { file: null, enlarge() {}, cancel() {}, urls: [] };

function fault(text) {
  $("error").textContent = text;
  $("error").hidden = !text;
}

function progress(text, share) {
  $("result").hidden = true;
  $("work").hidden = false;
  $("state").textContent = text;
  if (share === undefined) $("share").removeAttribute("value");
  else $("share").value = share;
}

// `blobs`: what is downloaded, and what is shown of it and of bicubic.
function show(blobs, { before, after, extension, seconds, format, remarks }) {
  viewer.urls.forEach(URL.revokeObjectURL);
  viewer.urls = blobs.map((blob) => URL.createObjectURL(blob));
  const [width, height] = after, bytes = blobs[0].size;
  const stem = (viewer.file.name || "picture").replace(/\.[^.]*$/, "") || "picture";
  $("download").href = viewer.urls[0];
  $("download").download = `${stem}_${width}x${height}${extension}`;
  $("after").src = viewer.urls[1];
  $("before").src = viewer.urls[2];
  const size = bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
  $("facts").textContent = [
    `${before.join(" x ")} to ${width} x ${height} pixels`, `${seconds.toFixed(1)} s`,
    `${format}, ${size}`, ...remarks].join("; ");
  $("stage").dataset.width = width;
  $("result").hidden = false;
  zoom("fit");
}

function zoom(step) {
  const stage = $("stage");
  stage.classList.toggle("fit", step === "fit");
  stage.classList.toggle("large", step !== "fit" && step > 1);
  // A pixel of the picture is as many of the screen's as the step says.
  const width = step === "fit" ? "" : `${stage.dataset.width * step / devicePixelRatio}px`;
  stage.style.setProperty("width", width);
  for (const button of document.querySelectorAll(".zoom"))
    button.setAttribute("aria-pressed", String(button.dataset.zoom === String(step)));
}

function slide(share) {
  $("slider").value = share;
  $("before").style.setProperty("clip-path", `inset(0 ${100 - share}% 0 0)`);
  $("line").style.setProperty("left", `${share}%`);
}

function drag(event) {
  if (!event.buttons && event.type === "pointermove") return;
  const box = $("stage").getBoundingClientRect();
  slide(Math.min(100, Math.max(0, 100 * (event.clientX - box.left) / box.width)));
}

function take(files) {
  const picture = [...files].find((one) => one.type.startsWith("image/")) ?? files[0];
  if (!picture) return;
  viewer.file = picture;
  viewer.enlarge();
}

for (const button of document.querySelectorAll(".zoom"))
  button.onclick = () => zoom(button.dataset.zoom === "fit" ? "fit" : Number(button.dataset.zoom));
$("slider").oninput = () => slide(Number($("slider").value));
$("stage").onpointerdown = drag;
$("stage").onpointermove = drag;
$("stage").ondragstart = () => false;
$("file").onchange = () => { take($("file").files); $("file").value = ""; };
$("cancel").onclick = () => { $("work").hidden = true; viewer.cancel(); };
for (const name of ["dragover", "dragleave", "drop"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") take(event.dataTransfer.files);
  });
}
addEventListener("paste", (event) => { if (event.clipboardData.files.length) take(event.clipboardData.files); });

// The page of `srexp serve`: a picture is put into the queue, watched, and shown beside bicubic.
const $ = (id) => document.getElementById(id);
const POLL = 250; // ms between two questions of how far it is
let file = null, job = null, urls = [], turn = 0;

const about = await (await fetch("api")).json();
$("version").textContent = about.version;
for (const scale of about.scales) $("scale").add(new Option(`${scale} times`, scale));
$("scale").add(new Option("a width of …", "width"));
for (const [kind, what] of Object.entries(about.kinds))
  $("network").add(new Option(`${kind}: ${what}`, `kind=${kind}`));
for (const run of about.runs)
  $("network").add(new Option(`x${run.scale} ${run.title} (${run.id})`, `run=${run.id}`));
$("format").add(new Option("lossless", ""));
$("format").add(new Option("as the picture", "own"));
for (const format of about.formats) $("format").add(new Option(format, format));
const { megabytes, megapixels } = about.limits;
$("limits").textContent = `up to ${megabytes} MB; results up to ${megapixels} megapixels`;

$("scale").onchange = () => { $("exact").hidden = $("scale").value !== "width"; };
$("network").onchange = () => {
  const run = about.runs.find((one) => $("network").value === `run=${one.id}`);
  if (run && about.scales.includes(run.scale)) $("scale").value = run.scale;
  $("scale").onchange();
};
$("settings").onsubmit = (event) => event.preventDefault();

function wanted() {
  const query = new URLSearchParams($("network").value);
  const width = $("width").value;
  if ($("scale").value !== "width") query.set("scale", $("scale").value);
  else if (width) query.set("width", width);
  else throw new Error("Say how many pixels wide it shall become.");
  if ($("format").value) query.set("format", $("format").value);
  return query;
}

function fault(text) {
  $("error").textContent = text;
  $("error").hidden = !text;
}

async function asked(address, options) {
  let answer;
  try { answer = await fetch(address, options); }
  catch { throw new Error("The server does not answer. Is srexp serve still running?"); }
  if (answer.ok) return answer;
  let text = `${answer.status} ${answer.statusText}`;
  try { text = (await answer.json()).error; } catch { /* no JSON: the status says it */ }
  throw new Error(text);
}

async function forget() {
  if (job) await fetch(`api/jobs/${job}`, { method: "DELETE" }).catch(() => {});
  job = null;
}

async function enlarge() {
  if (!file) return;
  const mine = ++turn;
  fault("");
  await forget();
  let query;
  try { query = wanted(); } catch (error) { fault(error.message); return; }
  $("result").hidden = true;
  $("work").hidden = false;
  $("share").removeAttribute("value");
  $("state").textContent = "sending";
  try {
    const begun = await (await asked(`api/jobs?${query}`, { method: "POST", body: file })).json();
    if (mine !== turn) { fetch(`api/jobs/${begun.id}`, { method: "DELETE" }).catch(() => {}); return; }
    job = begun.id;
    let now = begun;
    while (now.state === "waiting" || now.state === "running") {
      const before = now.before_it ?? 0;
      $("state").textContent = now.state === "running" ? `${Math.round(100 * now.share)} % done`
        : before ? `waiting: ${before} before it` : "next in the queue";
      if (now.state === "running") $("share").value = now.share;
      await new Promise((done) => setTimeout(done, POLL));
      if (mine !== turn) return;
      now = await (await asked(`api/jobs/${job}`)).json();
    }
    if (mine !== turn) return;
    if (now.state !== "done") throw new Error(now.error || `the picture was ${now.state}`);
    await show(now, mine);
  } catch (error) {
    if (mine === turn) fault(error.message);
  } finally {
    if (mine === turn) $("work").hidden = true;
  }
}

async function show(now, mine) {
  const names = ["result", "shown", "bicubic"];
  const blobs = await Promise.all(
    names.map(async (name) => (await asked(`api/jobs/${job}/${name}`)).blob()));
  if (mine !== turn) return;
  urls.forEach(URL.revokeObjectURL);
  urls = blobs.map((blob) => URL.createObjectURL(blob));
  const [width, height] = now.after;
  const stem = (file.name || "picture").replace(/\.[^.]*$/, "") || "picture";
  $("download").href = urls[0];
  $("download").download = `${stem}_${width}x${height}${now.extension}`;
  $("after").src = urls[1];
  $("before").src = urls[2];
  const size = now.bytes < 1e6 ? `${(now.bytes / 1e3).toFixed(0)} KB` : `${(now.bytes / 1e6).toFixed(1)} MB`;
  $("facts").textContent = [
    `${now.before.join(" x ")} to ${width} x ${height} pixels`, `${now.seconds.toFixed(1)} s`,
    `${now.format}, ${size}`, ...now.remarks].join("; ");
  $("stage").dataset.width = width;
  $("result").hidden = false;
  zoom("fit");
  await forget(); // the server need not keep what is here
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
for (const button of document.querySelectorAll(".zoom"))
  button.onclick = () => zoom(button.dataset.zoom === "fit" ? "fit" : Number(button.dataset.zoom));

function slide(share) {
  $("slider").value = share;
  $("before").style.setProperty("clip-path", `inset(0 ${100 - share}% 0 0)`);
  $("line").style.setProperty("left", `${share}%`);
}
$("slider").oninput = () => slide(Number($("slider").value));
const drag = (event) => {
  if (!event.buttons && event.type === "pointermove") return;
  const box = $("stage").getBoundingClientRect();
  slide(Math.min(100, Math.max(0, 100 * (event.clientX - box.left) / box.width)));
};
$("stage").onpointerdown = drag;
$("stage").onpointermove = drag;
$("stage").ondragstart = () => false;

function take(files) {
  const picture = [...files].find((one) => one.type.startsWith("image/")) ?? files[0];
  if (!picture) return;
  file = picture;
  enlarge();
}
$("file").onchange = () => { take($("file").files); $("file").value = ""; };
$("again").onclick = enlarge;
$("cancel").onclick = async () => {
  turn += 1;
  $("work").hidden = true;
  await forget();
};
for (const name of ["dragover", "dragleave", "drop"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") take(event.dataTransfer.files);
  });
}
addEventListener("paste", (event) => { if (event.clipboardData.files.length) take(event.clipboardData.files); });
addEventListener("pagehide", () => { if (job) fetch(`api/jobs/${job}`, { method: "DELETE", keepalive: true }); });

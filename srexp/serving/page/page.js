// The page of `srexp serve`: a picture is put into the queue, watched, and shown beside bicubic.
const POLL = 250; // ms between two questions of how far it is
let job = null, turn = 0;

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
  if (!viewer.file) return;
  const mine = ++turn;
  fault("");
  await forget();
  let query;
  try { query = wanted(); } catch (error) { fault(error.message); return; }
  progress("sending");
  try {
    const begun = await (await asked(`api/jobs?${query}`, { method: "POST", body: viewer.file })).json();
    if (mine !== turn) { fetch(`api/jobs/${begun.id}`, { method: "DELETE" }).catch(() => {}); return; }
    job = begun.id;
    let now = begun;
    while (now.state === "waiting" || now.state === "running") {
      const before = now.before_it ?? 0;
      if (now.state === "running") progress(`${Math.round(100 * now.share)} % done`, now.share);
      else progress(before ? `waiting: ${before} before it` : "next in the queue");
      await new Promise((done) => setTimeout(done, POLL));
      if (mine !== turn) return;
      now = await (await asked(`api/jobs/${job}`)).json();
      if (mine !== turn) return;
    }
    if (now.state !== "done") throw new Error(now.error || `the picture was ${now.state}`);
    await fetched(now, mine);
  } catch (error) {
    if (mine === turn) fault(error.message);
  } finally {
    if (mine === turn) $("work").hidden = true;
  }
}

async function fetched(now, mine) {
  const names = ["result", "shown", "bicubic"];
  const blobs = await Promise.all(
    names.map(async (name) => (await asked(`api/jobs/${job}/${name}`)).blob()));
  if (mine !== turn) return;
  show(blobs, now);
  await forget(); // the server need not keep what is here
}

viewer.enlarge = enlarge;
viewer.cancel = async () => {
  turn += 1;
  await forget();
};
$("again").onclick = enlarge;
addEventListener("pagehide", () => { if (job) fetch(`api/jobs/${job}`, { method: "DELETE", keepalive: true }); });

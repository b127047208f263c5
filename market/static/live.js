// What others do shows on the page without reloading. An element with data-live names a stream of server-sent events
// (market/live); each says only that something changed: the page is then read again, as whoever looks may see it, and
// the parts named by data-live-parts take their new form. Where no stream can be had, it is looked at by the clock.
const POLL = 15_000;
const RETRIES = 3;

for (const place of document.querySelectorAll("[data-live]")) watch(place);

function watch(place) {
  let stream;
  let failures = 0;
  let polling;
  let reading = false;

  const read = async () => {
    if (reading || document.hidden) return;
    reading = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
      if (answer.ok) show(new DOMParser().parseFromString(await answer.text(), "text/html"), place);
    } catch {
      // logged out, or the server is away: the page stays as it is
    } finally {
      reading = false;
    }
  };
  const poll = () => { polling ??= setInterval(read, POLL); };
  const open = () => {
    if (stream || polling || document.hidden) return;
    stream = new EventSource(place.dataset.live);
    stream.addEventListener("open", () => { failures = 0; });
    stream.addEventListener("changed", read);
    stream.addEventListener("end", close); // logged out, or not to be seen any more
    stream.addEventListener("error", () => {
      if (stream.readyState !== EventSource.CLOSED && ++failures < RETRIES) return; // it tries again by itself
      close();
      poll();
    });
  };
  const close = () => {
    stream?.close();
    stream = undefined;
  };
  // Browsers open six connections to a server: a tab nobody looks at keeps none.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else {
      read();
      open();
    }
  });
  addEventListener("pagehide", close);
  document.addEventListener("live:read", read);
  open();
}

function show(fresh, place) {
  for (const id of place.dataset.liveParts.split(" ")) {
    const [old, now] = [document.getElementById(id), fresh.getElementById(id)];
    if (!old || !now || old.innerHTML === now.innerHTML) continue;
    if (busy(old)) notify(place);
    else old.replaceWith(document.adoptNode(now));
    globalThis.htmx?.process(document.getElementById(id));
  }
  if (!place.querySelector(".q-fresh")) return;
  const [rows, now] = [place.querySelector("[data-rows]"), fresh.getElementById(place.id)?.querySelector("[data-rows]")];
  if (keys(rows) !== keys(now)) notify(place);
}

// Somebody is typing in it, has opened a form of it, or has chosen something.
const busy = (part) => part.querySelector("details[open] textarea")
  || part.contains(document.activeElement) && document.activeElement.matches("textarea, input, select")
  || [...part.querySelectorAll("textarea")].some((box) => box.value !== box.defaultValue);
const keys = (rows) => [...rows?.querySelectorAll("[data-row] a") ?? []].map((link) => link.getAttribute("href")).join();
const notify = (place) => { (place.querySelector(".q-fresh") ?? document.querySelector(".q-fresh"))?.removeAttribute("hidden"); };

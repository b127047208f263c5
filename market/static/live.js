// What others do shows on the page without reloading. An element with data-live names a stream of server-sent events
// (market/live); each says only that something changed: the page is then read again, as whoever looks may see it. The
// parts named by data-live-parts take their new form, and so do the rows of a list with data-rows, each by itself. Where
// no stream can be had, it is looked at by the clock.
const POLL = 15_000;
const RETRIES = 3;

function watch(place) {
  const list = place.querySelector("[data-rows]");
  if (list) remember(list);
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
  place.addEventListener("mouseleave", () => { if (place.querySelector(".q-fresh:not([hidden])")) read(); });
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
  const now = fresh.getElementById(place.id);
  if (!now) return;
  place.dataset.live = now.dataset.live; // from where the stream goes on, should it break
  const lists = [place, now].map((one) => one.querySelector("[data-rows]"));
  if (lists[0] && lists[1]) merge(...lists, place);
  else if (lists[0] || lists[1]) {
    if (touched(place)) return notify(place);
    place.replaceChildren(...now.childNodes);
    if (lists[1]) remember(lists[1]);
  }
}

// Rows are told apart by their data-row. One that changed changes where it stands. Nothing moves under a hand: while the
// pointer or the cursor is in the list, rows that left are only crossed out, and those that came wait.
function merge(list, fresh, place) {
  const old = new Map([...list.children].map((row) => [row.dataset.row, row]));
  const now = new Map([...fresh.children].map((row) => [row.dataset.row, row]));
  let waiting = false;
  for (const [id, row] of old) {
    const next = now.get(id);
    if (!next || served.get(row) === clean(next)) continue;
    if (busy(row)) waiting = true;
    else old.set(id, renew(row, next));
  }
  const left = [...old.keys()].filter((id) => !now.has(id));
  const moved = [...now.keys()].join() !== [...old.keys()].join();
  if (moved && (touched(list) || left.some((id) => busy(old.get(id))))) {
    waiting = true;
    for (const id of left) cross(old.get(id));
  } else if (moved) {
    for (const [id, row] of now) {
      if (old.has(id)) continue;
      served.set(row, clean(row));
      row.classList.add("came");
    }
    list.replaceChildren(...[...now].map(([id, row]) => old.get(id) ?? document.adoptNode(row)));
    globalThis.htmx?.process(list);
  }
  const notice = place.querySelector(".q-fresh");
  if (notice) notice.hidden = !waiting;
}

function renew(row, next) {
  const [ticked, focused] = [row.querySelector("input:checked"), row.contains(document.activeElement)];
  served.set(next, clean(next));
  next.classList.add("came");
  if (row.classList.contains("here")) next.classList.add("here");
  row.replaceWith(document.adoptNode(next));
  const box = ticked && next.querySelector(`input[type=checkbox][value="${CSS.escape(ticked.value)}"]`);
  if (box) box.checked = true;
  if (focused) (next.hasAttribute("tabindex") ? next : next.querySelector("a"))?.focus();
  globalThis.htmx?.process(next);
  return next;
}

function cross(row) {
  row.classList.add("left");
  for (const field of row.querySelectorAll("button, input")) field.disabled = true;
}

// Each row as the server wrote it, but for the keys of its forms, which are others each time.
const served = new WeakMap();
const clean = (row) => row.innerHTML.replace(/name="key" value="[^"]*"/g, "");
function remember(list) {
  for (const row of list.children) served.set(row, clean(row));
}

// Somebody is typing in it, has opened a form of it, or has chosen something.
const busy = (part) => part.querySelector("details[open] textarea")
  || part.contains(document.activeElement) && document.activeElement.matches("textarea, input, select")
  || [...part.querySelectorAll("textarea")].some((box) => box.value !== box.defaultValue);
const touched = (part) => part.matches(":hover") || part.contains(document.activeElement);
const notify = (place) => { (place.querySelector(".q-fresh") ?? document.querySelector(".q-fresh"))?.removeAttribute("hidden"); };

for (const place of document.querySelectorAll("[data-live]")) watch(place);

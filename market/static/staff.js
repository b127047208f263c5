// Keys of the queue and of a coordinator's need page, the seconds in which a decision can be taken back, and what comes
// in live. Each key does what a link or button on the page does too; which one is in templates/_staff.html, keys().
import "./live.js";

const rows = () => [...document.querySelectorAll("[data-row]")];
const now = () => document.activeElement?.closest("[data-row]") ?? document.querySelector("[data-row].here");

function move(by) {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(now());
  const next = all[Math.min(all.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
  for (const row of all) row.classList.toggle("here", row === next);
  next.closest("details")?.setAttribute("open", "");
  const radio = next.querySelector("input[type=radio]:not(:disabled)");
  if (radio) radio.checked = true;
  const open = next.querySelector("[data-open]");
  (open ?? next.querySelector("a")).focus();
  if (open) open.click();
  next.scrollIntoView({ block: "nearest" });
}

// Opens what a button is folded into and brings its first field up.
function unfold(name) {
  const form = document.querySelector(`form[action$="/${name}"]`);
  if (!form) return false;
  form.closest("details")?.setAttribute("open", "");
  const field = form.querySelector("textarea, input:not([type=hidden]), select, button");
  field?.focus();
  form.scrollIntoView({ block: "center" });
  return true;
}

// On the queue: the same on the page of the need that is looked at.
function there(name) {
  if (unfold(name)) return;
  const link = now()?.querySelector("a");
  if (link) location.href = `${link.getAttribute("href")}#do-${name}`;
}

const click = (selector, within = document) => within?.querySelector(selector)?.click();
const inQueue = Boolean(document.querySelector("[data-rows]"));

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  x: () => click("input[type=checkbox]", now()),
  a: () => (inQueue ? click("[data-approve]", now()) : click("[data-approve]")),
  A: () => click("button[form=several]"),
  o: () => there("override"),
  r: () => there("return"),
  e: () => there("escalate"),
  u: () => click("[data-undo]"),
  n: () => click("[data-next]"),
  q: () => { if (!inQueue) location.href = document.querySelector("[data-queue]")?.href ?? "/queue"; },
  "/": () => {
    const box = document.getElementById("f-q");
    if (box) box.focus();
    else location.href = "/queue#f-q";
  },
  "?": () => document.getElementById("keys")?.togglePopover?.(),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
  if (event.target.closest("textarea, select, input:not([type=checkbox]):not([type=radio]), [popover]:popover-open")) {
    if (event.key === "Escape") event.target.blur?.();
    return;
  }
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

const asked = location.hash.match(/^#do-(\w+)$/)?.[1];
if (asked) unfold(asked);
if (location.hash === "#f-q") document.getElementById("f-q")?.focus();

for (const place of document.querySelectorAll("[data-seconds]")) {
  const end = Date.now() + 1000 * Number(place.dataset.seconds);
  const ticking = setInterval(() => {
    const left = Math.max(0, Math.round((end - Date.now()) / 1000));
    place.textContent = left ? place.textContent.replace(/\d+/, left) : place.dataset.after;
    if (left) return;
    clearInterval(ticking);
    setTimeout(() => document.dispatchEvent(new Event("live:read")), 3000); // sent by now, or it failed
  }, 1000);
}

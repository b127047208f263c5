// Everything here is a convenience: each page works without it.
import "htmx.org";
import "./keys.js";

// A second click must not send a form twice. The button keeps its name and value until the browser has read them.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  setTimeout(() => {
    for (const button of form.querySelectorAll("button")) button.disabled = true;
  });
});

// After a decision the next need comes up by itself, its button where the last one was: a click meant for the last one
// must not decide this one unread.
const guarded = document.querySelectorAll("[data-arrived] form button");
for (const button of guarded) button.disabled = true;
setTimeout(() => {
  for (const button of guarded) button.disabled = false;
}, 1200);

// A form that came back shows the first thing to change.
document.querySelector(".field.wrong")?.scrollIntoView({ block: "center" });

// Coming back with the back button finds the page as it was left: with its buttons off.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const button of document.querySelectorAll("button:disabled")) button.disabled = false;
});

// Selects that only choose what a list shows send their form by themselves.
document.addEventListener("change", (event) => {
  if (event.target.matches("select[data-submit]")) event.target.form.requestSubmit();
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent.trim());
  button.textContent = button.dataset.done;
});

// Where there is JavaScript there is a button for what the browser's menu does too.
for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

// How long a new password is, told while it is typed. What makes it weak is judged by the server.
for (const hint of document.querySelectorAll("[data-strength]")) {
  const { strength, shortest, short, fair, good } = hint.dataset;
  document.getElementById(strength).addEventListener("input", (event) => {
    const left = shortest - [...event.target.value].length;
    hint.hidden = event.target.value === "";
    hint.textContent = left > 0 ? short.replace("[n]", left) : left > -6 ? fair : good;
  });
}

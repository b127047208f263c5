// Lists that are worked without the mouse: <ul data-keys>. j and k go from row to row; in the row at hand a key does what
// the button or summary with that data-key does. Keys work on the list only, and never while somebody types.
document.addEventListener("keydown", (event) => {
  const list = document.querySelector("[data-keys]");
  const at = event.target;
  if (!list || event.ctrlKey || event.metaKey || event.altKey || at.closest("input, textarea, select")) return;
  if (at !== document.body && !at.closest("main")) return;
  const rows = [...list.children];
  const here = rows.findIndex((row) => row.contains(at));
  if (event.key === "j" || event.key === "k") {
    const next = rows[Math.min(Math.max(here + (event.key === "j" ? 1 : -1), 0), rows.length - 1)];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
    return;
  }
  const wanted = rows[here]?.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!wanted) return;
  event.preventDefault();
  wanted.click();
  if (wanted.matches("summary")) wanted.parentElement.querySelector("textarea, input:not([type=hidden])")?.focus();
});

// @ts-check
// Reloads the figures every five seconds, only while the page is visible.
const EVERY = 5000;
async function refresh() {
  if (document.visibilityState !== "visible") return;
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = page.querySelector("#live");
    const before = document.querySelector("#live");
    const tables = now.querySelectorAll("details");
    before.querySelectorAll("details").forEach((table, number) => {
      if (tables[number]) tables[number].open = table.open;
    });
    const focusable = "a, summary, [tabindex]";
    const place = [...before.querySelectorAll(focusable)].indexOf(document.activeElement);
    before.replaceWith(document.adoptNode(now));
    if (place >= 0) /** @type {HTMLElement} */ (now.querySelectorAll(focusable)[place])?.focus({ preventScroll: true });
    document.documentElement.classList.remove("gone");
  } catch {
    document.documentElement.classList.add("gone");  // grey out the figures: they are out of date
  }
}
setInterval(refresh, EVERY);
document.addEventListener("visibilitychange", refresh);

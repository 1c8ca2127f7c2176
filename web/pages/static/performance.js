// @ts-check
// Reloads the figures every five seconds, only while the page is visible.
const EVERY = 5000;
async function refresh() {
  if (document.visibilityState !== "visible") return;
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const open = document.querySelector("details")?.open;
    const now = page.querySelector("#live");
    if (open) now.querySelector("details")?.setAttribute("open", "");
    document.querySelector("#live").replaceWith(document.adoptNode(now));
    document.documentElement.classList.remove("gone");
  } catch {
    document.documentElement.classList.add("gone");  // grey out the figures: they are out of date
  }
}
setInterval(refresh, EVERY);
document.addEventListener("visibilitychange", refresh);

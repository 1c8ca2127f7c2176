// @ts-check
// A demonstration keeps what a visitor does for them alone, in a visit (web/visits.py). Its token is here, in this tab's
// memory, and nowhere else: a page that is loaded anew has none. So the visitor's own pages, the history, cases and
// notices, open over the desk: the server's page, as it is, in a frame that is given its text.
(() => {
  "use strict";

  const HEADER = "Tenfold-Visit";
  const NEW = "new";
  const PAGES = /^(?:fr\/)?(?:history|record)(?:\/|$)/;
  const root = new URL(document.documentElement.lang === "fr" ? "../" : "./", document.baseURI).href.split("?")[0];
  let token = NEW;
  let ended = ""; // the visit that the next one replaces

  /** @type {typeof fetch} */
  const send = async (target, options) => {
    const named = token === NEW && ended ? `${NEW} ${ended}` : token;
    const answer = await fetch(target, { ...options, headers: { ...options?.headers, [HEADER]: named } });
    const given = answer.headers.get(HEADER);
    if (given) [token, ended] = [given, ""];
    else if (answer.status === 410 && token === named) token = NEW; // the server no longer has it
    return answer;
  };

  /** @type {(id: string) => any} */
  const byId = (id) => document.getElementById(id);
  const frame = () => /** @type {HTMLIFrameElement} */ (byId("visit-page"));
  const dialog = () => byId("visit");
  let shown = ""; // the address of the page in the frame

  /** @type {(answer: Response) => Promise<void>} a file is saved, as a browser does with one that it is sent */
  const save = async (answer) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition"))?.[1] ?? "";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  };
  /** @type {(target: string, options?: RequestInit) => Promise<void>} */
  const open = async (target, options) => {
    let html = null;
    try {
      const answer = await send(target, options);
      if (answer.headers.get("Content-Disposition")) return save(answer);
      if (answer.headers.get("Content-Type")?.startsWith("text/html") && answer.status !== 410) html = await answer.text();
      else if (answer.status === 410) html = byId("card-ended").innerHTML;
    } catch { /* said below */ }
    const page = new DOMParser().parseFromString(html ?? byId("card-gone").innerHTML, "text/html");
    const base = page.createElement("base");
    base.href = target.split("#")[0];
    page.head.prepend(base);
    if (!page.querySelector("main")) { // no page, but a card of the desk's
      page.body.innerHTML = `<main id="result" class="plain alone">${page.body.innerHTML}</main>`;
      for (const sheet of document.querySelectorAll('head link[href*="desk.css"]')) page.head.append(sheet.cloneNode());
    }
    page.documentElement.dataset.visit = ""; // its own header stays away
    page.documentElement.lang ||= document.documentElement.lang;
    shown = target;
    frame().srcdoc = `<!doctype html>${page.documentElement.outerHTML}`;
    if (!dialog().open) dialog().showModal();
  };

  /** @type {(target: string) => boolean} whether one of the visitor's own pages is there */
  const isOwn = (target) => target.startsWith(root) && PAGES.test(target.slice(root.length).split(/[?#]/)[0]);
  /** @type {(event: Event) => void} a link to one of them, here or in the frame */
  const follow = (event) => {
    /** @type {HTMLAnchorElement} */
    const link = /** @type {Element} */ (event.target).closest?.("a[href]");
    if (!link || !link.href) return;
    const inFrame = link.ownerDocument !== document;
    if (isOwn(link.href)) {
      event.preventDefault();
      event.stopPropagation();
      const [address, place] = link.href.split("#");
      if (inFrame && place && address === shown.split("#")[0]) link.ownerDocument.getElementById(place)?.scrollIntoView();
      else open(link.href);
    } else if (inFrame && link.href.startsWith(root)) { // to the desk, around the frame
      event.preventDefault();
      dialog().close();
      const address = new URL(link.href);
      const of = address.searchParams.get("of");
      if (of) dispatchEvent(new CustomEvent("visit-correct", { detail: of }));
      else if (link.matches(".new")) byId("reset").click();
    }
  };
  /** @type {(event: SubmitEvent) => void} a form of a page in the frame, other than those that common.js sends */
  const submit = (event) => {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (form.matches(".deciding") || !isOwn(form.action)) return;
    event.preventDefault();
    const content = new FormData(form);
    const button = /** @type {HTMLButtonElement} */ (event.submitter);
    if (button?.name) content.append(button.name, button.value);
    open(form.action, { method: "POST", body: new URLSearchParams(/** @type {any} */ (content)) });
  };
  const begin = () => {
    frame().addEventListener("load", () => {
      const page = frame().contentDocument;
      if (!page?.documentElement.dataset || page.documentElement.dataset.visit === undefined) return;
      page.body.classList.toggle("dark", document.body.classList.contains("dark"));
      page.addEventListener("click", follow);
      page.addEventListener("submit", submit);
      page.addEventListener("keydown", (event) => { if (event.key === "Escape") dialog().close(); });
      byId("visit-title").textContent = page.title.split(" · ")[0] || frame().title;
      const place = shown.split("#")[1];
      const target = place && page.getElementById(place);
      if (target) { target.closest("details")?.setAttribute("open", ""); target.scrollIntoView(); }
    });
    dialog().querySelector(".close").addEventListener("click", () => dialog().close());
    dialog().addEventListener("close", () => { frame().srcdoc = ""; });
  };
  document.addEventListener("click", follow, true);
  addEventListener("desk-drawn", begin);

  Object.assign(window, {
    tenfoldVisits: {
      send,
      again: () => { open(shown); },
      startOver: () => { if (token !== NEW) [ended, token] = [token, NEW]; },
      get begun() { return token !== NEW; },
      get token() { return token; },
      set token(given) { if (given) token = given; },
    },
  });
})();

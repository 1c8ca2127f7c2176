// @ts-check
// Sends a file with its progress, and follows it while it is checked or scored.
(() => {
  "use strict";
  const EVERY = 700; // ms

  /** @type {HTMLFormElement} */
  const form = document.querySelector("#upload");
  if (form) {
    /** @type {HTMLInputElement} */
    const input = form.querySelector("#file");
    /** @type {HTMLElement} */
    const drop = form.querySelector(".drop");
    /** @type {HTMLElement} */
    const sending = form.querySelector("#sending");
    const bar = sending.querySelector("progress");
    /** @type {HTMLElement} */
    const problem = form.querySelector("p.form-problem");
    /** @type {(text: string) => void} */
    const refuse = (text) => {
      sending.hidden = true;
      input.disabled = false;
      input.value = "";
      problem.textContent = text;
      problem.hidden = false;
      problem.focus();
    };
    /** @type {(file: File) => void} */
    const send = (file) => {
      if (input.disabled || !file) return;
      input.disabled = true;
      problem.hidden = true;
      sending.hidden = false;
      sending.querySelector("p").textContent = `${form.dataset.sending} ${file.name}`;
      const request = new XMLHttpRequest(); // fetch tells nothing of how much is sent
      request.open("POST", form.dataset.upload);
      request.setRequestHeader("Content-Disposition", `attachment; filename*=UTF-8''${encodeURIComponent(file.name)}`);
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.upload.addEventListener("progress", (event) => { if (event.lengthComputable) bar.value = event.loaded / event.total; });
      request.addEventListener("error", () => refuse(form.dataset.gone));
      request.addEventListener("load", () => {
        if (request.status === 202) {
          location.href = `batch/${JSON.parse(request.responseText).id}`;
          return;
        }
        let text = form.dataset.gone;
        try { text = JSON.parse(request.responseText).title ?? text; } catch { /* of a proxy */ }
        refuse(text);
      });
      request.send(file);
    };
    input.addEventListener("change", () => send(input.files[0]));
    for (const kind of ["dragenter", "dragover"])
      document.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
    for (const kind of ["dragleave", "drop"])
      document.addEventListener(kind, () => drop.classList.remove("over"));
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      send(event.dataTransfer.files[0]);
    });
  }

  /** @type {HTMLElement} */
  const working = document.querySelector("#working");
  if (working) {
    const bar = working.querySelector("progress");
    const follow = async () => {
      try {
        const answer = await fetch(working.dataset.progress, { cache: "no-store" });
        if (answer.status === 404 || answer.status === 401) return location.reload();
        const now = await answer.json();
        if (!now.working || now.state !== working.dataset.state) return location.reload();
        const text = working.querySelector("p");
        if (text.textContent !== now.working.text) text.textContent = now.working.text;
        if (now.working.of) Object.assign(bar, { max: now.working.of, value: now.working.done });
      } catch { /* asked again */ }
      setTimeout(follow, EVERY);
    };
    setTimeout(follow, EVERY);
  }
})();

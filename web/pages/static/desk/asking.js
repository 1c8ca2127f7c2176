// Asking the server.
import { facts, person } from "./page.js";

// In a demonstration: what a visitor does is kept for them alone, in a visit (visits.js).
/** @type {{ send: typeof fetch, begun: boolean, token: string, startOver: () => void } | undefined} */
export const visits = /** @type {any} */ (window).tenfoldVisits;

const PATIENCE = 15000; // ms
/** @type {(path: string, wish?: object) => Promise<{ text?: string, failed?: string }>} an answer's text, or how it `failed` */
export const ask = async (path, wish) => {
  try {
    const answer = await (visits?.send ?? fetch)(path, {
      ...(wish && {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ ...wish, as: person, release: facts.release }),
        keepalive: path === "desk/keep" || path === "desk/discard", // the page may be left meanwhile
      }),
      signal: /** @type {any} */ (AbortSignal).timeout(PATIENCE),
    });
    if (answer.ok) return { text: await answer.text() };
    if (answer.status === 401) return { failed: "out" };
    if (answer.status === 412) return { failed: "other" }; // somebody else is logged in by now
    if (answer.status === 409) return { failed: "replaced" }; // another release serves
    if (answer.status === 410) return { failed: "ended" }; // a demonstration's visit
    // A proxy in front of a stopped server answers for it.
    return { failed: [502, 503, 504].includes(answer.status) ? "gone" : "failed" };
  } catch {
    return { failed: "gone" };
  }
};

"use strict";
(() => {
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const functions = facts.functions;
  const profiles = facts.profiles;
  const by = (id) => document.getElementById(id);
  const ROW = 22;
  const NARROWEST = 0.6; // pixels
  const PAGE = 50; // rows of the table
  const baseline = profiles.length > 1 ? profiles[0] : null;

  // ---- figures
  const time = (s) => {
    const ms = s * 1e3;
    if (ms >= 1e4) return (ms / 1e3).toLocaleString("en", { maximumFractionDigits: 1 }) + " s";
    if (ms >= 10) return ms.toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 }) + " ms";
    if (ms >= 0.1) return ms.toFixed(2) + " ms";
    return (ms * 1e3).toFixed(ms < 0.001 ? 2 : 1) + " µs";
  };
  const percent = (part, whole) => (whole ? ((100 * part) / whole).toFixed(part / whole < 0.1 ? 2 : 1) + " %" : "–");
  const count = (n) => n.toLocaleString("en");
  const figuresOf = (profile, at) => profile.figures[at] || null; // calls, own, cumulative
  const counted = profiles.every((one) => !one.sampled);

  // Cumulative time against the baseline's: a call's where the calls differ, else all of it. A ratio, or null.
  const change = (at) => {
    if (!baseline || profile === baseline) return null;
    const before = figuresOf(baseline, at);
    const after = figuresOf(profile, at);
    if (!before || !after || before[2] <= 0 || after[2] <= 0) return null;
    const perCall = counted && before[0] !== after[0] && before[0] > 0 && after[0] > 0;
    return { ratio: perCall ? after[2] / after[0] / (before[2] / before[0]) : after[2] / before[2], perCall };
  };
  const changed = (at) => {
    if (!baseline || profile === baseline) return "";
    if (!figuresOf(baseline, at)) return "new";
    const found = change(at);
    if (!found) return "–";
    return `× ${found.ratio.toFixed(found.ratio < 10 ? 2 : 0)}${found.perCall ? " a call" : ""}`;
  };

  // ---- the boxes of each profile: children, places, depths; once
  for (const one of profiles) {
    const { parent, seconds } = one.boxes;
    one.children = parent.map(() => []);
    one.roots = [];
    one.depth = new Int32Array(parent.length);
    one.left = new Float64Array(parent.length);
    parent.forEach((above, at) => {
      (above < 0 ? one.roots : one.children[above]).push(at);
      one.depth[at] = above < 0 ? 0 : one.depth[above] + 1;
    });
    const widest = (a, b) => seconds[b] - seconds[a];
    one.roots.sort(widest);
    one.children.forEach((list) => list.sort(widest));
    one.whole = one.roots.reduce((sum, at) => sum + seconds[at], 0);
    let left = 0;
    for (const at of one.roots) {
      one.left[at] = left;
      left += seconds[at];
    }
    // A caller's box comes before those of what it called.
    for (let at = 0; at < parent.length; at++) {
      let from = one.left[at];
      for (const child of one.children[at]) {
        one.left[child] = from;
        from += seconds[child];
      }
    }
    one.callees = {};
    for (const [callee, callers] of Object.entries(one.callers)) {
      for (const [caller, ...cost] of callers) {
        (one.callees[caller] ||= []).push([Number(callee), ...cost]);
      }
    }
  }

  // ---- state
  let profile = profiles[profiles.length - 1];
  let zoom = -1; // the box that is as wide as the picture; -1 for all
  let focus = -1; // the box that has the keyboard
  let chosen = -1; // the function in the panel
  let found = []; // boxes that a search found
  let matching = null; // functions that it found
  let sortedBy = "own";
  let ascending = false;
  let shown = PAGE;

  // ---- colours
  const hash = (text) => {
    let h = 2166136261;
    for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
    return h >>> 0;
  };
  const PALETTE = [210, 32, 145, 285, 0, 178, 62, 330, 245, 105];
  const groups = [...new Set(functions.group)];
  const weight = new Map(groups.map((name) => [name, 0]));
  for (const one of profiles) {
    for (const [at, figures] of Object.entries(one.figures)) {
      weight.set(functions.group[at], weight.get(functions.group[at]) + figures[1]);
    }
  }
  groups.sort((a, b) => weight.get(b) - weight.get(a));
  const hueOf = new Map(groups.map((name, at) => [name, PALETTE[at % PALETTE.length]]));
  const byChange = (ratio) => {
    const way = Math.max(-1, Math.min(1, Math.log2(ratio) / 2)); // a quarter or four times: full colour
    const strength = Math.abs(way) < 0.035 ? 0 : Math.abs(way);
    const hue = way < 0 ? 212 : 22;
    return `hsl(${hue} ${Math.round(20 + 65 * strength)}% ${Math.round(86 - 22 * strength)}%)`;
  };
  const colourOf = (at) => {
    const how = by("colour").value;
    if (how === "file") return `hsl(${hash(functions.file[at] || functions.name[at]) % 360} 45% 78%)`;
    if (how === "change") {
      const difference = change(at);
      if (difference) return byChange(difference.ratio);
      return figuresOf(baseline, at) ? "hsl(0 0% 86%)" : "hsl(48 85% 72%)";
    }
    const step = Math.floor(groups.indexOf(functions.group[at]) / PALETTE.length);
    return `hsl(${hueOf.get(functions.group[at])} 48% ${Math.max(66, 79 - 5 * step)}%)`;
  };
  const legend = () => {
    const how = by("colour").value;
    const line = by("legend");
    line.replaceChildren();
    const add = (colour, text) => {
      const part = document.createElement("span");
      const key = document.createElement("i");
      key.style.background = colour;
      part.append(key, text);
      line.append(part);
    };
    if (how === "change") {
      add(byChange(0.25), `a quarter of ${baseline.name}, or less`);
      add(byChange(0.6), "faster");
      add(byChange(1), "the same");
      add(byChange(1.7), "slower");
      add(byChange(4), "four times, or more");
      add("hsl(48 85% 72%)", `not in ${baseline.name}`);
    } else if (how === "group") {
      const most = Math.max(...weight.values());
      const seen = groups.slice(0, 10).filter((name) => weight.get(name) >= 0.002 * most); // others are too narrow
      for (const name of seen) add(`hsl(${hueOf.get(name)} 48% 79%)`, name);
    }
  };

  // ---- the icicle
  const described = (box) => {
    const at = profile.boxes.function[box];
    const seconds = profile.boxes.seconds[box];
    const difference = changed(at);
    return `${functions.name[at]}, ${time(seconds)}, ${percent(seconds, profile.whole)} of all` +
      (difference ? `, ${difference === "new" ? "new" : difference + " against " + baseline.name}` : "");
  };
  const draw = () => {
    const { seconds } = profile.boxes;
    const area = by("icicle");
    const width = area.clientWidth;
    const from = zoom < 0 ? 0 : profile.left[zoom];
    const scale = width / (zoom < 0 ? profile.whole : seconds[zoom]);
    const visible = [];
    for (let above = zoom < 0 ? -1 : profile.boxes.parent[zoom]; above >= 0; above = profile.boxes.parent[above]) {
      visible.unshift([above, 0, width, true]);
    }
    const ahead = zoom < 0 ? [...profile.roots] : [zoom];
    while (ahead.length) {
      const box = ahead.pop();
      const wide = seconds[box] * scale;
      if (wide < NARROWEST) continue;
      visible.push([box, (profile.left[box] - from) * scale, wide, false]);
      ahead.push(...profile.children[box]);
    }
    if (!visible.some(([box]) => box === focus)) focus = zoom >= 0 ? zoom : profile.roots[0];
    const searching = matching !== null;
    let deepest = 0;
    const parts = document.createDocumentFragment();
    visible.sort((a, b) => profile.depth[a[0]] - profile.depth[b[0]] || a[1] - b[1]);
    for (const [box, left, wide, around] of visible) {
      const at = profile.boxes.function[box];
      const part = document.createElement("div");
      part.setAttribute("role", "treeitem");
      part.setAttribute("aria-level", profile.depth[box] + 1);
      part.setAttribute("aria-selected", String(at === chosen));
      part.setAttribute("aria-label", described(box));
      part.tabIndex = box === focus ? 0 : -1;
      part.dataset.box = box;
      part.textContent = wide <= 24 ? "" : functions.name[at] +
        (wide > 170 && functions.place[at] ? ` · ${functions.place[at].replace(/^.*\//, "")}` : "");
      part.style.cssText =
        `left:${left.toFixed(2)}px;width:${Math.max(wide, 1).toFixed(2)}px;top:${profile.depth[box] * ROW}px`;
      part.style.background = colourOf(at);
      if (wide <= 24) part.classList.add("narrow");
      if (around) part.classList.add("around");
      if (searching) part.classList.add(matching.has(at) ? "match" : "dim");
      deepest = Math.max(deepest, profile.depth[box]);
      parts.append(part);
    }
    area.replaceChildren(parts);
    area.style.height = `${(deepest + 1) * ROW + 4}px`;
    by("out").disabled = zoom < 0;
    by("all").disabled = zoom < 0;
  };
  const part = (box) => by("icicle").querySelector(`[data-box="${box}"]`);
  const go = (box, focusIt = true) => {
    if (box === undefined || box < 0) return;
    focus = box;
    if (!part(box)) {
      zoom = box; // too narrow to see where we are
      draw();
    }
    for (const one of by("icicle").querySelectorAll('[tabindex="0"]')) one.tabIndex = -1;
    const to = part(box);
    to.tabIndex = 0;
    if (focusIt) to.focus();
    point(box);
  };
  const zoomTo = (box, focusIt = true) => {
    zoom = box;
    draw();
    go(zoom >= 0 ? zoom : focus, focusIt);
    if (zoom >= 0) by("icicle").scrollTop = Math.max(0, profile.depth[zoom] * ROW - ROW * 3);
  };
  const point = (box) => {
    const at = profile.boxes.function[box];
    by("pointed").textContent = described(box) + (functions.place[at] ? ` · ${functions.place[at]}` : "");
  };

  by("icicle").addEventListener("click", (event) => {
    const box = event.target.dataset.box;
    if (box === undefined) return;
    focus = Number(box);
    choose(profile.boxes.function[focus]);
    zoomTo(Number(box) === zoom ? -1 : Number(box), false);
  });
  by("icicle").addEventListener("pointerover", (event) => {
    if (event.target.dataset.box !== undefined) point(Number(event.target.dataset.box));
  });
  by("icicle").addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const { parent } = profile.boxes;
    const beside = parent[focus] < 0 ? profile.roots : profile.children[parent[focus]];
    const place = beside.indexOf(focus);
    const actions = {
      ArrowUp: () => go(parent[focus]),
      ArrowDown: () => go(profile.children[focus][0]),
      ArrowLeft: () => go(beside[place - 1]),
      ArrowRight: () => go(beside[place + 1]),
      Home: () => zoomTo(-1),
      Backspace: () => zoomTo(zoom < 0 ? -1 : parent[zoom]),
      Escape: () => zoomTo(zoom < 0 ? -1 : parent[zoom]),
      Enter: () => {
        choose(profile.boxes.function[focus]);
        zoomTo(focus);
      },
      " ": () => choose(profile.boxes.function[focus]),
    };
    if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    }
  });
  by("out").addEventListener("click", () => zoomTo(profile.boxes.parent[zoom], false));
  by("all").addEventListener("click", () => zoomTo(-1, false));

  // ---- search
  const textOf = (at) => `${functions.name[at]} ${functions.file[at]} ${functions.group[at]}`.toLowerCase();
  const searched = functions.name.map((_, at) => textOf(at));
  const search = () => {
    const text = by("search").value.trim().toLowerCase();
    matching = text ? new Set(searched.flatMap((one, at) => (one.includes(text) ? [at] : []))) : null;
    found = [];
    let held = 0;
    if (matching) {
      const within = new Uint8Array(profile.boxes.function.length); // 1: under a match, counted already
      profile.boxes.function.forEach((at, box) => {
        const above = profile.boxes.parent[box];
        if (above >= 0 && within[above]) within[box] = 1;
        if (matching.has(at)) {
          found.push(box);
          if (!within[box]) held += profile.boxes.seconds[box];
          within[box] = 1;
        }
      });
      found.sort((a, b) => profile.boxes.seconds[b] - profile.boxes.seconds[a]);
    }
    by("next").disabled = !found.length;
    by("matches").textContent = !matching ? "" : found.length
      ? `${count(found.length)} boxes, ${percent(held, profile.whole)} of the time`
      : "No box matches";
    draw();
  };
  let match = -1;
  const next = () => {
    if (!found.length) return;
    match = (match + 1) % found.length;
    choose(profile.boxes.function[found[match]]);
    go(found[match]);
  };
  by("search").addEventListener("input", () => {
    match = -1;
    search();
  });
  by("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") next();
    if (event.key === "Escape") {
      by("search").value = "";
      search();
    }
  });
  by("next").addEventListener("click", next);
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === "/") {
      event.preventDefault();
      by("search").focus();
    } else if (event.key === "n") next();
  });

  // ---- the chosen function
  const row = (...cells) => {
    const line = document.createElement("tr");
    for (const cell of cells) {
      const place = document.createElement("td");
      place.append(cell);
      line.append(place);
    }
    return line;
  };
  const button = (at) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = functions.name[at];
    made.addEventListener("click", () => {
      choose(at);
      by("chosen-name").focus();
    });
    return made;
  };
  const related = (into, list, what) => {
    const table = document.createElement("table");
    const head = document.createElement("tr");
    for (const text of ["function", what, "own", "cumulative"]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = text;
      head.append(cell);
    }
    table.createTHead().append(head);
    const body = table.createTBody();
    for (const [at, calls, own, cumulative] of [...list].sort((a, b) => b[3] - a[3]).slice(0, 200)) {
      body.append(row(button(at), count(calls), time(own), time(cumulative)));
    }
    by(into).replaceChildren(list.length ? table : "none that was seen");
  };
  const choose = (at) => {
    chosen = at;
    by("chosen").hidden = false;
    by("chosen-name").textContent = functions.name[at];
    by("chosen-place").textContent =
      `${functions.file[at] ? functions.file[at] + functions.place[at].replace(/^.*(:\d+)$/, "$1") : "written in C"} · ${functions.group[at]}`;
    by("chosen-figures").textContent = profiles.map((one) => {
      const figures = figuresOf(one, at);
      const name = profiles.length > 1 ? `${one.name}: ` : "";
      if (!figures) return `${name}not called`;
      const [calls, own, cumulative] = figures;
      return `${name}${count(calls)} ${one.sampled ? "samples" : calls === 1 ? "call" : "calls"}, own ${time(own)} ` +
        `(${percent(own, one.seconds)}), cumulative ${time(cumulative)}` +
        (one.sampled || !calls ? "" : `, ${time(cumulative / calls)} a call`);
    }).join(" · ") + (changed(at) ? ` · ${changed(at)}` : "");
    const what = profile.sampled ? "samples" : "calls";
    related("callers", profile.callers[at] || [], what);
    related("callees", profile.callees[at] || [], what);
    for (const one of by("icicle").querySelectorAll("[data-box]")) {
      one.setAttribute("aria-selected", String(profile.boxes.function[one.dataset.box] === at));
    }
    for (const one of by("functions").tBodies[0].rows) one.classList.toggle("here", Number(one.dataset.at) === at);
  };

  // ---- the table
  const columns = () => {
    const what = profile.sampled ? "samples" : "calls";
    const all = [
      ["function", "function", (at) => functions.name[at].toLowerCase()],
      ["group", "group", (at) => functions.group[at].toLowerCase()],
      ["calls", what, (at) => profile.figures[at][0], (at) => count(profile.figures[at][0])],
      ["own", "own", (at) => profile.figures[at][1], (at) => time(profile.figures[at][1])],
      ["share", "share", (at) => profile.figures[at][1], (at) => percent(profile.figures[at][1], profile.seconds)],
      ["cumulative", "cumulative", (at) => profile.figures[at][2], (at) => time(profile.figures[at][2])],
    ];
    if (!profile.sampled) {
      const each = (at) => profile.figures[at][2] / Math.max(1, profile.figures[at][0]);
      all.push(["each", "a call", each, (at) => time(each(at))]);
    }
    if (baseline && profile !== baseline) {
      const ratio = (at) => (change(at) || { ratio: figuresOf(baseline, at) ? 1 : Infinity }).ratio;
      all.push(["change", `against ${baseline.name}`, ratio, changed]);
    }
    return all;
  };
  const heads = () => {
    const line = by("functions").tHead.rows[0];
    line.replaceChildren();
    for (const [key, text] of columns()) {
      const cell = document.createElement("th");
      cell.scope = "col";
      if (key === "group") cell.className = "text";
      if (key === sortedBy) cell.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const press = document.createElement("button");
      press.type = "button";
      press.textContent = text + (key === sortedBy ? (ascending ? " ▲" : " ▼") : "");
      press.addEventListener("click", () => {
        ascending = key === sortedBy ? !ascending : key === "function" || key === "group";
        sortedBy = key;
        heads();
        rows();
        by("functions").tHead.querySelector("[aria-sort] button").focus();
      });
      cell.append(press);
      line.append(cell);
    }
  };
  const rows = () => {
    const text = by("filter").value.trim().toLowerCase();
    const only = by("group").value;
    const listed = Object.keys(profile.figures).map(Number);
    const chosenOnes = listed.filter(
      (at) => (!text || searched[at].includes(text)) && (!only || functions.group[at] === only));
    const all = columns();
    const value = (all.find(([key]) => key === sortedBy) || all[3])[2];
    const order = ascending ? 1 : -1;
    const compare = (a, b) => (a < b ? -order : a > b ? order : 0);
    chosenOnes.sort((a, b) => compare(value(a), value(b)) || profile.figures[b][2] - profile.figures[a][2]);
    const body = document.createDocumentFragment();
    for (const at of chosenOnes.slice(0, shown)) {
      const name = document.createElement("td");
      name.append(button(at));
      if (functions.place[at]) {
        const place = document.createElement("small");
        place.textContent = functions.place[at];
        name.append(place);
      }
      const line = document.createElement("tr");
      line.dataset.at = at;
      line.classList.toggle("here", at === chosen);
      line.append(name);
      for (const [key, , raw, said] of all.slice(1)) {
        const cell = document.createElement("td");
        cell.textContent = said ? said(at) : functions.group[at];
        if (key === "group") cell.className = "text";
        if (key === "change" && change(at)) {
          if (raw(at) < 0.95) cell.className = "better";
          if (raw(at) > 1.05) cell.className = "worse";
        }
        line.append(cell);
      }
      body.append(line);
    }
    by("functions").tBodies[0].replaceChildren(body);
    const own = chosenOnes.reduce((sum, at) => sum + profile.figures[at][1], 0);
    const left = profile.all - profile.listed;
    by("count").textContent = `${count(chosenOnes.length)} functions, ${percent(own, profile.seconds)} of own time` +
      (left ? `; ${count(left)} more, with ${percent(profile.seconds * (1 - profile.held), profile.seconds)}, are left out` : "");
    by("more").hidden = chosenOnes.length <= shown;
    by("more").textContent = `Show ${count(Math.min(PAGE, chosenOnes.length - shown))} more`;
  };
  by("filter").addEventListener("input", () => {
    shown = PAGE;
    rows();
  });
  by("group").addEventListener("change", () => {
    shown = PAGE;
    rows();
  });
  by("more").addEventListener("click", () => {
    const first = shown;
    shown += PAGE;
    rows();
    by("functions").tBodies[0].rows[first].querySelector("button").focus();
  });
  for (const name of groups) by("group").add(new Option(name, name));

  // ---- which profile
  const show = () => {
    zoom = -1;
    focus = profile.roots[0];
    by("covered").textContent = `The boxes hold ${percent(profile.covered, 1)} of all own time, ${time(profile.seconds)}. ` +
      (profile.stacks ? "These are sampled stacks, as they were."
        : "A profile knows callers, not stacks: time under one caller is spread over that one's callers; recursion is folded.");
    legend();
    search();
    heads();
    rows();
    if (chosen >= 0) choose(chosen);
    if (focus !== undefined) point(focus);
  };
  by("which-label").hidden = !baseline;
  for (const [at, one] of profiles.entries()) by("which").add(new Option(one.name, at));
  by("which").value = profiles.length - 1;
  if (baseline) {
    by("colour").add(new Option(`against ${baseline.name}`, "change"));
    by("colour").value = "change";
  }
  by("which").addEventListener("change", () => {
    profile = profiles[by("which").value];
    const option = [...by("colour").options].find((one) => one.value === "change");
    if (option) option.disabled = profile === baseline;
    if (profile === baseline && by("colour").value === "change") by("colour").value = "group";
    if (!columns().some(([key]) => key === sortedBy)) sortedBy = "own";
    show();
  });
  by("colour").addEventListener("change", () => {
    legend();
    draw();
  });
  let width = by("icicle").clientWidth;
  addEventListener("resize", () => {
    if (by("icicle").clientWidth !== width) {
      width = by("icicle").clientWidth;
      draw();
    }
  });
  show();
})();

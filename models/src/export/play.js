// Be the scheduler: a race's state graph, played in the page. Keys, while the panel has the focus: 1 to 9 choose who
// goes next, u takes back, h hints at the way to the bug, r begins anew.
"use strict";
for (const panel of document.querySelectorAll(".play")) {
  // t: threads; s: strings; r: rows [kind, string, [3 * string + change, ...]]; n: states, each a list of moves
  // [thread, string or -1, [row, ...], state], or { f: clause, m: message } where it broke, or { o: 1 } where this
  // graph ends and the race does not.
  const graph = JSON.parse(document.getElementById(panel.dataset.graph).textContent);
  const clauses = JSON.parse(document.getElementById("clauses").textContent);
  const far = Infinity;
  const toBug = distances();
  let path = []; // { state, choice, mine }: what was chosen where; mine if there was a choice
  let state = 0;

  const make = (tag, className, text) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const scroll = make("div", "scroll");
  const table = make("table", "steps");
  const head = table.createTHead().insertRow();
  for (const title of ["", ...graph.t, "set after it: +new −gone"]) {
    const cell = make("th", "", title);
    cell.scope = "col";
    head.append(cell);
  }
  const body = table.createTBody();
  scroll.append(table);
  const say = make("p");
  say.setAttribute("role", "status");
  const moves = make("div", "moves");
  const tools = make("div", "moves");
  const undo = tool("u", "undo", back);
  const hinted = tool("h", "hint", hint);
  tool("r", "restart", restart);
  panel.replaceChildren(scroll, say, moves, tools);
  panel.tabIndex = 0;
  panel.setAttribute("role", "group");
  panel.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const here = movesAt(state);
    const number = Number(event.key);
    if (number >= 1 && number <= here.length) choose(number - 1);
    else if (event.key === "u") back();
    else if (event.key === "h") hint();
    else if (event.key === "r") restart();
    else return;
    event.preventDefault();
  });
  restart();

  function tool(key, name, act) {
    const button = make("button");
    button.type = "button";
    button.append(make("kbd", "", key), " " + name);
    button.addEventListener("click", act);
    tools.append(button);
    return button;
  }

  function movesAt(at) {
    const node = graph.n[at];
    return Array.isArray(node) ? node : [];
  }

  /// How far each state is from the next one at which something is broken.
  function distances() {
    const before = graph.n.map(() => []);
    graph.n.forEach((_, from) => movesAt(from).forEach((move) => before[move[3]].push(from)));
    const found = graph.n.map((node) => (node.f !== undefined ? 0 : far));
    let wave = found.flatMap((distance, at) => (distance === 0 ? [at] : []));
    for (let distance = 1; wave.length; distance++) {
      const next = [];
      for (const at of wave)
        for (const from of before[at])
          if (found[from] === far) {
            found[from] = distance;
            next.push(from);
          }
      wave = next;
    }
    return found;
  }

  function restart() {
    path = [];
    state = 0;
    settle();
  }

  function choose(choice) {
    path.push({ state, choice, mine: true });
    state = movesAt(state)[choice][3];
    settle();
    if (document.activeElement === document.body || !panel.contains(document.activeElement)) panel.focus();
  }

  function back() {
    while (path.length) {
      const last = path.pop();
      state = last.state;
      if (last.mine) break;
    }
    settle();
  }

  /// Goes on while there is nothing to choose.
  function settle() {
    while (movesAt(state).length === 1) {
      path.push({ state, choice: 0, mine: false });
      state = movesAt(state)[0][3];
    }
    draw();
  }

  function hint() {
    const here = movesAt(state);
    if (!here.length) return;
    const best = here.reduce((least, move, at) => (toBug[move[3]] < toBug[here[least][3]] ? at : least), 0);
    if (toBug[here[best][3]] === far) {
      const part = graph.n.some((node) => node.o) ? " in the part that this page has" : "";
      say.textContent = "No way from here breaks anything" + part + ".";
      return;
    }
    say.textContent = "Hint: " + graph.t[here[best][0]] + ".";
    moves.children[best].classList.add("hint");
  }

  function row(thread, made) {
    const [kind, text, tokens] = made;
    const line = body.insertRow();
    line.insertCell().textContent = body.rows.length;
    graph.t.forEach((_, at) => {
      const cell = line.insertCell();
      if (at !== thread) return;
      cell.textContent = kind ? "[" + graph.s[text] + "]" : graph.s[text];
      if (kind) cell.className = "note";
    });
    const set = line.insertCell();
    if (kind) return;
    for (const token of tokens) {
      const change = token % 3;
      const word = graph.s[(token - change) / 3];
      set.append(make("span", ["", "added", "removed"][change], ["", "+", "−"][change] + word), " ");
    }
  }

  function draw() {
    body.replaceChildren();
    for (const { state: at, choice } of path) {
      const [thread, , rows] = movesAt(at)[choice];
      rows.forEach((made) => row(thread, graph.r[made]));
    }
    moves.replaceChildren();
    const node = graph.n[state];
    const here = movesAt(state);
    here.forEach(([thread, step], at) => {
      const button = make("button");
      button.type = "button";
      const what = step < 0 ? "(something that is not shown)" : graph.s[step];
      button.append(make("kbd", "", at + 1), " ", make("strong", "", graph.t[thread]), " " + what);
      button.addEventListener("click", () => choose(at));
      moves.append(button);
    });
    undo.disabled = !path.some((step) => step.mine);
    hinted.disabled = !here.length;
    say.className = "";
    delete panel.dataset.verdict;
    if (here.length) {
      say.textContent = "Who goes next?";
    } else if (node.f !== undefined) {
      panel.dataset.verdict = "violates " + (node.f || "");
      say.className = "bad";
      say.textContent = "Broken. " + node.m + (clauses[node.f] ? ". The clause: " + clauses[node.f] : "");
    } else if (node.o) {
      panel.dataset.verdict = "open";
      say.textContent = "This order leads out of the part of the state graph that this page has: take a step back, or play it with cargo race step.";
    } else {
      panel.dataset.verdict = "holds";
      say.className = "good";
      say.textContent = "Holds: nothing broke in this order.";
    }
  }
}

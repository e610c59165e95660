// What a person decides: kept in this browser, and written to and read from a table.
const WORDS = ["accept", "reject", "unsure"];
const COLUMNS = ["id", "decision", "note", "decided", "status", "score"];

class Decisions {
  constructor(key) {
    this.key = `stnreg decisions ${key}`;
    this.isKept = true;
    this.all = {};
    try {
      this.all = JSON.parse(localStorage.getItem(this.key) ?? "{}");
    } catch {
      this.isKept = false;
    }
  }

  of(id) {
    return this.all[id] ?? { decision: "", note: "" };
  }

  // Change a decision or a note; the same decision again takes it back.
  set(id, change) {
    const now = { ...this.of(id), ...change, decided: new Date().toISOString().slice(0, 19) + "Z" };
    if (now.decision || now.note) this.all[id] = now;
    else delete this.all[id];
    this.keep();
  }

  toggle(id, word) {
    this.set(id, { decision: this.of(id).decision === word ? "" : word });
  }

  keep() {
    try {
      localStorage.setItem(this.key, JSON.stringify(this.all));
      this.isKept = true;
    } catch {
      this.isKept = false;
    }
  }

  // One line for each pair, decided or not.
  table(pairs) {
    const cell = (value) => String(value ?? "").replace(/[\t\r\n]+/g, " ");
    const lines = pairs.map((pair) => COLUMNS.map((name) => cell({ ...pair, ...this.of(pair.id) }[name])).join("\t"));
    return [COLUMNS.join("\t"), ...lines, ""].join("\n");
  }

  // Take over the decisions of a table; what was decided here and is not in it stays.
  read(text, ids) {
    const [head, ...lines] = text.replace(/^\ufeff/, "").split(/\r?\n/).filter((line) => line.trim());
    const names = (head ?? "").split("\t"), known = new Set(ids);
    if (!names.includes("id") || !names.includes("decision")) throw new Error("expected columns id and decision, separated by tabs");
    let taken = 0;
    const unknown = [];
    for (const line of lines) {
      const cells = line.split("\t"), row = Object.fromEntries(names.map((name, k) => [name, cells[k] ?? ""]));
      const decision = row.decision.trim().toLowerCase(), note = row.note ?? "";
      if (!known.has(row.id) || (decision && !WORDS.includes(decision))) unknown.push(row.id);
      else if (decision || note) {
        this.all[row.id] = { decision, note, decided: row.decided ?? "" };
        taken++;
      }
    }
    this.keep();
    return { taken, unknown };
  }
}

function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/tab-separated-values" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// The buttons of one pair, and the note. `changed` is called after each change.
function connectDecision(bar, decisions, current, changed) {
  const note = bar.querySelector("#note"), buttons = [...bar.querySelectorAll("[data-decide]")];
  const refresh = () => {
    const { decision, note: text } = decisions.of(current());
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.decide === decision));
    if (document.activeElement !== note) note.value = text;
    bar.querySelector("#told").textContent = decisions.isKept ? (decision ? `decision: ${decision}` : "not decided")
      : "this browser keeps nothing: export the decisions before you close the page";
  };
  const decide = (word) => { decisions.toggle(current(), word); refresh(); changed(); };
  for (const button of buttons) button.addEventListener("click", () => decide(button.dataset.decide));
  note.addEventListener("input", () => { decisions.set(current(), { note: note.value }); changed(); });
  note.addEventListener("keydown", (event) => { if (event.key === "Enter") { note.blur(); bar.closest("dialog")?.focus(); } });
  return {
    refresh,
    keys: { a: () => decide("accept"), r: () => decide("reject"), u: () => decide("unsure"), n: () => note.focus() },
  };
}

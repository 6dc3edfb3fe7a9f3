import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";

const PLACES: Record<string, string> = { h: "/", p: "/patients", s: "/studies", e: "/series", i: "/images", x: "/explore", m: "/imports", q: "/quality" };
const MAP: readonly [string, string][] = [
  ["/", "search everything"], ["F", "new filter"], ["J K", "next, previous row"], ["Space", "select the row; with Shift up to there"], ["Enter", "open it"],
  ["G then H P S E I X M Q", "Home, Patients, Studies, Series, Images, Explore, Imports, Quality"],
  ["C D", "columns or add as column, compare"], ["→ ← *", "unfold, fold, unfold all below"], ["viewer: ↑↓ [ ] W Space", "slice, time, window, play"], [".", "show as GraphQL"], ["Esc", "close the panel"], ["?", "this list"],
];

const LETTERS = "dicom-graph:letters";
/** Whether single letters do something: who speaks to the computer may not want it (WCAG 2.1.4). */
const areLettersOn = (): boolean => localStorage.getItem(LETTERS) !== "off";

/** Whether a key is meant for a field that has the focus. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement;
  return event.ctrlKey || event.metaKey || event.altKey || target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) && (target as HTMLInputElement).type !== "checkbox";
}

/** Calls `handle` for keys that are not meant for a field. */
export function useKeys(handle: (event: KeyboardEvent) => void): void {
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (isTyping(event) || (/^[a-z]$/i.test(event.key) && !areLettersOn())) return;
      handle(event);
    };
    window.addEventListener("keydown", listen);
    return () => { window.removeEventListener("keydown", listen); };
  });
}

/** The keys that work on each page, and the list of all. */
export function Keys() {
  const navigate = useNavigate();
  const [open, setOpen] = useState(false);
  const [waits, setWaits] = useState(false);
  const [letters, setLetters] = useState(areLettersOn);
  useKeys((event) => {
    if (waits) {
      setWaits(false);
      const to = PLACES[event.key.toLowerCase()];
      if (to) { event.preventDefault(); void navigate({ to }); }
      return;
    }
    if (event.key === "g") setWaits(true);
    else if (event.key === "?") setOpen(!open);
    else if (event.key === "Escape") setOpen(false);
    else if (event.key === "/") { event.preventDefault(); document.getElementById("find")?.focus(); }
  });
  if (!open) return null;
  return (
    <aside className="sheet panel" aria-label="Keyboard">
      <header><h2>Keyboard</h2><div className="end"><button type="button" className="btn plain small" onClick={() => { setOpen(false); }}>Close</button></div></header>
      <dl className="kv">{MAP.map(([key, does]) => <div key={key} className="pair"><dt><kbd>{key}</kbd></dt><dd>{does}</dd></div>)}</dl>
      <label className="row hint"><input type="checkbox" checked={letters} onChange={() => { localStorage.setItem(LETTERS, letters ? "off" : "on"); setLetters(!letters); }} /> Single letters do this</label>
    </aside>
  );
}

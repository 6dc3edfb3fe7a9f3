import { useEffect, useRef, useState, type RefObject } from "react";
import { thumbnail } from "../lib/base";

/** Modalities whose objects have no pixels: their pictures are not asked for. */
const WITHOUT = new Set(["SR", "RWV", "PR", "KO", "REG", "RTSTRUCT", "RTPLAN", "RTRECORD", "DOC", "ECG", "EPS", "HD", "AU", "PLAN", "SMR", "FID", "M3D", "TEXTUREMAP"]);
const STILL_MS = 120, AT_ONCE = 4;

let loading = 0;
const waiting = new Set<() => void>();
function next(): void {
  for (const start of waiting) {
    if (loading >= AT_ONCE) return;
    waiting.delete(start);
    loading += 1;
    start();
  }
}

/** What to start for each place on the page once it was seen for a moment, and since when it is seen. */
const places = new Map<Element, { start: () => void; since: number }>();
let timer = 0;
/** Starts what was seen for long enough; comes again for what was not. */
function look(): void {
  timer = 0;
  const now = performance.now();
  let isLeft = false;
  for (const [place, { start, since }] of places) {
    if (now - since >= STILL_MS) { seen.unobserve(place); places.delete(place); waiting.add(start); } else if (since !== Infinity) isLeft = true;
  }
  if (isLeft) timer = window.setTimeout(look, STILL_MS);
  next();
}
/** One observer for all pictures: hundreds pass by while a table is scrolled. */
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const found = places.get(entry.target);
    if (found) found.since = entry.isIntersecting ? performance.now() : Infinity;
  }
  timer ||= window.setTimeout(look, STILL_MS);
}, { rootMargin: "100px" });

/**
 * The address of a picture once it may be loaded: it was on the page for a moment, and no more than
 * four are under way, so that what is asked of the server meanwhile does not wait for them.
 */
function useTurn(url: string, isNear: boolean): { src: string | undefined; over: () => void; box: RefObject<HTMLSpanElement | null> } {
  const box = useRef<HTMLSpanElement>(null);
  const [loaded, setLoaded] = useState<string>();
  const held = useRef(false);
  const over = () => { if (held.current) { held.current = false; loading -= 1; next(); } };
  useEffect(() => {
    const start = () => { held.current = true; setLoaded(url); };
    const place = box.current;
    if (place) {
      places.set(place, { start, since: isNear ? performance.now() : Infinity });
      if (isNear) timer ||= window.setTimeout(look, STILL_MS);
      else seen.observe(place);
    }
    return () => {
      if (place) { places.delete(place); if (!isNear) seen.unobserve(place); }
      waiting.delete(start);
      over();
    };
  }, [url, isNear]);
  return { src: loaded === url ? url : undefined, over, box };
}

/**
 * A square picture; where there is none, the modality in its place. Without a size it is that of a row
 * of a table, which is there only near the screen: whether it is seen need not be observed.
 */
export function Picture({ kind, uid, label, size }: { kind: "series" | "images"; uid: string; label: string; size?: number }) {
  return WITHOUT.has(label) ? <Without label={label} size={size} /> : <ServerPicture url={thumbnail(kind, uid, (size ?? 34) * 2)} label={label} size={size} isNear={size === undefined} />;
}

/** A square picture that the server names by its address. */
export function ServerPicture({ url, label, size, isNear = false }: { url: string; label: string; size: number | undefined; isNear?: boolean }) {
  const [failed, setFailed] = useState<string>();
  const { src, over, box: place } = useTurn(url, isNear);
  if (failed === url) return <Without label={label} size={size} />;
  const box = size === undefined ? undefined : { width: size, height: size };
  return src
    ? <img className="thumb" style={box} src={src} alt="" decoding="async" onLoad={over} onError={() => { over(); setFailed(url); }} />
    : <span ref={place} className="thumb" style={box} />;
}

function Without({ label, size }: { label: string; size: number | undefined }) {
  return <span className="thumb none" style={size === undefined ? undefined : { width: size, height: size }} title="No picture can be made of this">{label || "–"}</span>;
}

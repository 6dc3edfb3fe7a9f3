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

/**
 * The address of a picture once it may be loaded: it was on the page for a moment, and no more than
 * four are under way, so that what is asked of the server meanwhile does not wait for them.
 */
function useTurn(url: string): { src: string | undefined; over: () => void; box: RefObject<HTMLSpanElement | null> } {
  const box = useRef<HTMLSpanElement>(null);
  const [src, setSrc] = useState<string>();
  const held = useRef(false);
  const over = () => { if (held.current) { held.current = false; loading -= 1; next(); } };
  useEffect(() => {
    const start = () => { held.current = true; setSrc(url); };
    let timer = 0;
    const seen = new IntersectionObserver((entries) => {
      window.clearTimeout(timer);
      if (!entries.some((entry) => entry.isIntersecting)) { waiting.delete(start); return; }
      timer = window.setTimeout(() => { seen.disconnect(); waiting.add(start); next(); }, STILL_MS);
    }, { rootMargin: "100px" });
    if (box.current) seen.observe(box.current);
    return () => { seen.disconnect(); window.clearTimeout(timer); waiting.delete(start); setSrc(undefined); over(); };
  }, [url]);
  return { src, over, box };
}

/** A square picture; where there is none, the modality in its place. */
export function Picture({ kind, uid, label, size = 34 }: { kind: "series" | "images"; uid: string; label: string; size?: number }) {
  return WITHOUT.has(label) ? <Without label={label} size={size} /> : <ServerPicture url={thumbnail(kind, uid, size * 2)} label={label} size={size} />;
}

/** A square picture that the server names by its address. */
export function ServerPicture({ url, label, size }: { url: string; label: string; size: number }) {
  const [failed, setFailed] = useState(false);
  const { src, over, box: place } = useTurn(url);
  if (failed) return <Without label={label} size={size} />;
  const box = { width: size, height: size };
  return src
    ? <img className="thumb" style={box} src={src} alt="" decoding="async" width={size} height={size} onLoad={over} onError={() => { over(); setFailed(true); }} />
    : <span ref={place} className="thumb" style={box} />;
}

function Without({ label, size }: { label: string; size: number }) {
  return <span className="thumb none" style={{ width: size, height: size }} title="No picture can be made of this">{label || "–"}</span>;
}

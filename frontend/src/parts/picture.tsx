import { useState } from "react";
import { thumbnail } from "../lib/base";

/** A square picture; where there is none, the modality in its place. */
export function Picture({ kind, uid, label, size = 34 }: { kind: "series" | "images"; uid: string; label: string; size?: number }) {
  const [failed, setFailed] = useState(false);
  const box = { width: size, height: size };
  if (failed) return <span className="thumb none" style={box} title="No picture can be made of this">{label || "–"}</span>;
  return <img className="thumb" style={box} src={thumbnail(kind, uid, size * 2)} alt="" loading="lazy" decoding="async" width={size} height={size} onError={() => { setFailed(true); }} />;
}

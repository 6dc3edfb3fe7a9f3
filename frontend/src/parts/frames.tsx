import { lazy, Suspense, useEffect, useRef, useState, type PointerEvent } from "react";
import { useQuery } from "urql";
import { graphql } from "../gql";
import { at } from "../lib/base";
import { Icon } from "./icons";
import { useKeys } from "./keys";
import type { Shown as VolumeShown } from "./volume";

const PIXELS = graphql(`
  query Pixels($uid: String!) {
    imageByUid(uid: $uid) { id pixels { shape dtype windowCenter windowWidth minimum maximum photometricInterpretation } }
  }
`);
interface Shown { uid: string; number?: number | null; numberOfFrames?: number | null }
interface Sheet extends VolumeShown { mosaicUrl: string }
const Volume = lazy(() => import("./volume"));

/** The pictures of a series: its volume in three planes, all slices on one sheet, or frame after frame. */
export function Frames({ images, volumes, view, stack, set }: { images: readonly Shown[]; volumes: readonly Sheet[]; view: string; stack: string; set: (change: Record<string, string | undefined>) => void }) {
  const volume = volumes.find((each) => String(each.stack) === stack) ?? volumes[0];
  const chosen = view === "frames" || !volume ? "frames" : view === "mosaic" ? "mosaic" : "volume";
  const [{ data }] = useQuery({ query: PIXELS, variables: { uid: images[0]?.uid ?? "" }, pause: chosen !== "volume" || !images[0] });
  const pixels = data?.imageByUid?.pixels;
  const header = pixels?.windowCenter && pixels.windowWidth ? { center: pixels.windowCenter, width: pixels.windowWidth } : null;
  return (
    <section className="viewer" aria-label="Pictures">
      <div className="vbar">
        <b>{chosen === "frames" ? "Frames" : "Volume"}</b>{volume && <span>{volume.shape.join(" × ")}</span>}
        {volumes.length > 1 && <select aria-label="Which volume" value={String(volume?.stack ?? 0)} onChange={(event) => { set({ stack: event.target.value }); }}>{volumes.map((each) => <option key={each.stack} value={String(each.stack)}>{each.stack + 1}: {each.label}</option>)}</select>}
        <span className="grow" />
        {[...(volume ? ["volume", "mosaic"] : []), "frames"].map((each) => <button key={each} type="button" className="vbtn" aria-pressed={each === chosen} onClick={() => { set({ view: each }); }}>{each}</button>)}
      </div>
      {chosen === "volume" && volume ? <Suspense fallback={<p className="volume-stage over" role="status">Loading the viewer…</p>}><Volume key={volume.niftiUrl} volume={volume} header={header} /></Suspense>
        : chosen === "mosaic" && volume ? <div className="sheet-of-slices"><img src={at(volume.mosaicUrl)} alt="Slices of the volume on one sheet" /></div>
          : <Player images={images} />}
    </section>
  );
}

/** Frame after frame, with window (drag), zoom (wheel) and cine (space). */
function Player({ images }: { images: readonly Shown[] }) {
  const places = images.flatMap((image) => Array.from({ length: image.numberOfFrames ?? 1 }, (_, frame) => ({ image, frame: frame + 1 })));
  const [index, setIndex] = useState(Math.floor((places.length - 1) / 2));
  const [playing, setPlaying] = useState(false);
  const [zoom, setZoom] = useState(1);
  const [window_, setWindow] = useState<{ center: number; width: number } | null>(null);
  const [failed, setFailed] = useState(false);
  const drag = useRef<{ x: number; y: number; center: number; width: number } | null>(null);
  const box = useRef<HTMLDivElement>(null);
  const place = places[Math.min(index, places.length - 1)];
  const [{ data }] = useQuery({ query: PIXELS, variables: { uid: place?.image.uid ?? "" }, pause: !place || playing });
  const pixels = data?.imageByUid?.pixels;
  const center = pixels?.windowCenter ?? ((pixels?.minimum ?? 0) + (pixels?.maximum ?? 255)) / 2;
  const width = pixels?.windowWidth ?? Math.max(1, (pixels?.maximum ?? 255) - (pixels?.minimum ?? 0));
  const step = (by: number) => { setFailed(false); setIndex((now) => (now + by + places.length) % places.length); };
  useKeys((event) => {
    if (event.key === "ArrowUp" || event.key === "[") { event.preventDefault(); step(-1); }
    else if (event.key === "ArrowDown" || event.key === "]") { event.preventDefault(); step(1); }
    else if (event.key === " " && !(event.target instanceof HTMLButtonElement)) { event.preventDefault(); setPlaying(!playing); }
    else if (event.key === "w") setWindow(null);
  });
  useEffect(() => {
    if (!playing) return;
    const timer = window.setInterval(() => { setIndex((now) => (now + 1) % places.length); }, 120);
    return () => { window.clearInterval(timer); };
  }, [playing, places.length]);
  useEffect(() => {
    const node = box.current;
    const listen = (event: WheelEvent) => { if (event.ctrlKey || event.shiftKey) { event.preventDefault(); setZoom((now) => Math.min(8, Math.max(1, now * (event.deltaY < 0 ? 1.15 : 0.87)))); } };
    node?.addEventListener("wheel", listen, { passive: false });
    return () => { node?.removeEventListener("wheel", listen); };
  }, []);
  if (!place) return null;
  const query = window_ ? `&window=${window_.center.toPrecision(5)},${window_.width.toPrecision(5)}` : "";
  const url = at(`/images/${encodeURIComponent(place.image.uid)}/frames/${String(place.frame)}.png?size=768${query}`);
  const start = (event: PointerEvent) => { if (event.button === 0) drag.current = { x: event.clientX, y: event.clientY, center: window_?.center ?? center, width: window_?.width ?? width }; };
  const move = (event: PointerEvent) => {
    const from = drag.current;
    if (!from || event.buttons !== 1) return;
    setWindow({ center: from.center + ((event.clientY - from.y) / 300) * width, width: Math.max(1, from.width * Math.exp((event.clientX - from.x) / 200)) });
  };
  const shownWindow = window_ ?? { center, width };
  return (
    <>
      <div className="stage" ref={box} onPointerDown={start} onPointerMove={move} onPointerUp={() => { drag.current = null; }}>
        {failed
          ? <p className="no-picture">No picture can be made of this image: it may hold no pixels, or its file may be gone.</p>
          : <img src={url} alt={`Frame ${String(index + 1)} of ${String(places.length)}`} draggable={false} ref={(node) => { if (node) node.style.transform = `scale(${String(zoom)})`; }} onError={() => { setFailed(true); setPlaying(false); }} />}
      </div>
      <div className="vbar below">
        <button type="button" className="vbtn" aria-label={playing ? "Pause" : "Play"} aria-pressed={playing} onClick={() => { setPlaying(!playing); }}><Icon name={playing ? "pause" : "play"} /></button>
        <input className="grow" type="range" min={0} max={places.length - 1} value={index} aria-label="Frame" onChange={(event) => { setFailed(false); setIndex(Number(event.target.value)); }} />
        <b>{index + 1}/{places.length}</b>
        <span>window {Math.round(shownWindow.center)}, {Math.round(shownWindow.width)}</span>
        {(window_ !== null || zoom > 1) && <button type="button" className="vbtn" onClick={() => { setWindow(null); setZoom(1); }}>Reset</button>}
      </div>
    </>
  );
}

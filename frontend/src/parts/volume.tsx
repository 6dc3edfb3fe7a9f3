import { DRAG_MODE, Niivue, SHOW_RENDER, SLICE_TYPE } from "@niivue/niivue";
import { useCallback, useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import { at } from "../lib/base";
import { bytesInWords, bytesOf } from "../lib/geometry";
import { show } from "../lib/fields";
import { Icon } from "./icons";
import { useKeys } from "./keys";

export interface Shown {
  stack: number; shape: number[]; dtype: string; axes: string[]; label: string; niftiUrl: string;
  fourthAxisValues?: number[] | null; fourthAxisUnit?: string | null; i: string; j: string; k: string;
}
type State = "asking" | "loading" | "there" | { failed: string };
const AXES = [[2, "Axial"], [1, "Coronal"], [0, "Sagittal"]] as const;
const LARGE = 300e6;
const WINDOWS = { robust: "2 % to 98 %", full: "all values" } as const;

/** Three planes of a volume, with its window, its fourth axis, and the curve at the crosshair. */
export default function Volume({ volume, header }: { volume: Shown; header: { center: number; width: number } | null }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const viewer = useRef<Niivue | null>(null);
  const size = bytesOf(volume.shape, volume.dtype);
  const [state, setState] = useState<State>(size > LARGE ? "asking" : "loading");
  const [place, setPlace] = useState<[number, number, number]>([0, 0, 0]);
  const [dims, setDims] = useState<[number, number, number]>([1, 1, 1]);
  const [value, setValue] = useState<number | null>(null);
  const [curve, setCurve] = useState<number[]>([]);
  const [frame, setFrame] = useState(0);
  const [playing, setPlaying] = useState(false);
  const [axis, setAxis] = useState(2);
  const [shownWindow, setShownWindow] = useState<[number, number]>([0, 1]);
  const nFrames = volume.axes[3] && volume.axes[3] !== "colour" ? (volume.shape[3] ?? 1) : 1;

  useEffect(() => {
    const node = canvas.current;
    if (!node || state !== "loading") return;
    const stop = new AbortController();
    let gone = false;
    const nv = new Niivue({
      isRadiologicalConvention: true, sagittalNoseLeft: true, multiplanarShowRender: SHOW_RENDER.NEVER, isColorbar: false,
      backColor: [0, 0, 0, 1], crosshairColor: [0.33, 0.8, 0.73, 1], crosshairWidth: 0.3, crosshairWidthUnit: "percent", crosshairGap: 2, fontColor: [0.62, 0.66, 0.68, 1],
      loadingText: "", showAllOrientationMarkers: true, dragAndDropEnabled: false, dragMode: DRAG_MODE.windowing, logLevel: "silent", show3Dcrosshair: false,
      isForceMouseClickToVoxelCenters: true, clipPlaneHotKey: "", viewModeHotKey: "",
    });
    nv.onLocationChange = (told) => {
      const { vox, values } = told as { vox: Float32List; values: { value: number; vox: Float32List }[] };
      const volumeShown = nv.volumes[0];
      if (gone || !volumeShown) return;
      setPlace([Math.round(vox[0] ?? 0), Math.round(vox[1] ?? 0), Math.round(vox[2] ?? 0)]);
      const first = values[0];
      setValue(first?.value ?? null);
      if (first && nFrames > 1) setCurve(Array.from({ length: nFrames }, (_, i) => volumeShown.getValue(first.vox[0] ?? 0, first.vox[1] ?? 0, first.vox[2] ?? 0, i)));
    };
    nv.onIntensityChange = (changed) => { setShownWindow([changed.cal_min ?? 0, changed.cal_max ?? 1]); };
    const load = async () => {
      await nv.attachToCanvas(node);
      const answer = await fetch(at(volume.niftiUrl), { signal: stop.signal });
      if (!answer.ok) {
        const told = (await answer.json().catch(() => ({}))) as { message?: string; error?: string };
        throw new Error(told.message ?? told.error ?? `The server answered ${String(answer.status)}.`);
      }
      await nv.loadFromArrayBuffer(await answer.arrayBuffer(), "volume.nii.gz");
      const first = nv.volumes[0];
      if (gone || !first) return;
      nv.setSliceType(SLICE_TYPE.MULTIPLANAR);
      nv.setCustomLayout(node.clientWidth > 560
        ? [{ sliceType: SLICE_TYPE.AXIAL, position: [0, 0, 0.32, 1] }, { sliceType: SLICE_TYPE.CORONAL, position: [0.34, 0, 0.32, 1] }, { sliceType: SLICE_TYPE.SAGITTAL, position: [0.68, 0, 0.32, 1] }]
        : [{ sliceType: SLICE_TYPE.AXIAL, position: [0, 0, 1, 0.6] }, { sliceType: SLICE_TYPE.CORONAL, position: [0, 0.601, 0.48, 0.399] }, { sliceType: SLICE_TYPE.SAGITTAL, position: [0.52, 0.601, 0.48, 0.399] }]);
      nv.opts.crosshairWidth = node.clientWidth > 560 ? 0.3 : 0.7;
      const ras = first.dimsRAS ?? [3, 1, 1, 1];
      const found: [number, number, number] = [ras[1] ?? 1, ras[2] ?? 1, ras[3] ?? 1];
      setDims(found);
      setShownWindow([first.cal_min ?? 0, first.cal_max ?? 1]);
      nv.scene.crosshairPos = nv.vox2frac([Math.floor(found[0] / 2), Math.floor(found[1] / 2), Math.floor(found[2] / 2)]);
      nv.drawScene();
      nv.createOnLocationChange();
      viewer.current = nv;
      setState("there");
    };
    load().catch((error: unknown) => { if (!gone) setState({ failed: error instanceof Error ? error.message : String(error) }); });
    return () => { gone = true; stop.abort(); viewer.current = null; nv.cleanup(); node.getContext("webgl2")?.getExtension("WEBGL_lose_context")?.loseContext(); };
    // Loaded once for a volume; "loading" is what starts it.
  }, [volume.niftiUrl, state === "asking"]);

  const go = useCallback((which: number, index: number) => {
    const nv = viewer.current;
    if (!nv) return;
    setAxis(which);
    const next: [number, number, number] = [...place];
    next[which] = Math.max(0, Math.min((dims[which] ?? 1) - 1, index));
    nv.scene.crosshairPos = nv.vox2frac(next);
    nv.drawScene();
    nv.createOnLocationChange();
  }, [place, dims]);
  const toFrame = (to: number) => {
    const nv = viewer.current, first = nv?.volumes[0];
    if (!nv || !first) return;
    const wanted = (to + nFrames) % nFrames;
    setFrame(wanted);
    nv.setFrame4D(first.id, wanted);
  };
  const setWindow = (kind: string) => {
    const nv = viewer.current, first = nv?.volumes[0];
    if (!nv || !first) return;
    if (kind === "header" && header) { first.cal_min = header.center - header.width / 2; first.cal_max = header.center + header.width / 2; }
    else if (kind === "full") { first.cal_min = first.global_min ?? 0; first.cal_max = first.global_max ?? 1; }
    else { first.cal_min = first.robust_min ?? 0; first.cal_max = first.robust_max ?? 1; }
    setShownWindow([first.cal_min, first.cal_max]);
    nv.updateGLVolume();
  };
  const kinds = [...(header ? ["header"] : []), "robust", "full"];
  const [kind, setKind] = useState("robust");
  const choose = (next: string) => { setKind(next); setWindow(next); };
  useKeys((event) => {
    if (state !== "there") return;
    const slices = { ArrowUp: 1, ArrowDown: -1 }[event.key], time = { "[": -1, "]": 1 }[event.key];
    if (slices) { event.preventDefault(); go(axis, (place[axis] ?? 0) + slices); }
    else if (time && nFrames > 1) toFrame(frame + time);
    else if (event.key === " " && nFrames > 1 && !(event.target instanceof HTMLButtonElement)) { event.preventDefault(); setPlaying(!playing); }
    else if (event.key === "w") choose(kinds[(kinds.indexOf(kind) + 1) % kinds.length] ?? "robust");
  });
  const step = useRef(toFrame);
  step.current = toFrame;
  useEffect(() => {
    if (!playing) return;
    let now = frame;
    const timer = window.setInterval(() => { now += 1; step.current(now); }, 150);
    return () => { window.clearInterval(timer); };
    // From the frame at which it was started.
  }, [playing]);

  if (typeof state === "object") return <Planes volume={volume} reason={state.failed} />;
  const there = state === "there";
  const center = (shownWindow[0] + shownWindow[1]) / 2, width = shownWindow[1] - shownWindow[0];
  const axisName = volume.axes[3] ?? "";
  const times = volume.fourthAxisValues?.length === nFrames ? volume.fourthAxisValues : null;
  const least = Math.min(...curve), most = Math.max(...curve), mean = curve.reduce((sum, each) => sum + each, 0) / Math.max(1, curve.length);
  return (
    <>
      <div className="vbar">
        <label className="row">Window <select value={kind} disabled={!there} onChange={(event) => { choose(event.target.value); }}>{header && <option value="header">of the header</option>}{Object.entries(WINDOWS).map(([key, words]) => <option key={key} value={key}>{words}</option>)}</select></label>
        <span className="num">center {show(Number(center.toPrecision(4)))}, width {show(Number(width.toPrecision(4)))}</span><span className="grow" />
        {nFrames > 1 && <><button type="button" className="vbtn" disabled={!there} aria-label={playing ? "Pause" : "Play"} aria-pressed={playing} onClick={() => { setPlaying(!playing); }}><Icon name={playing ? "pause" : "play"} /></button><b className="num">{frame + 1}</b><span>/{nFrames}</span></>}
      </div>
      <div className="volume-stage">
        <canvas ref={canvas} role="img" aria-label="Three planes with a crosshair; the sliders below move it" />
        {state === "asking" && <div className="over"><p>The volume has {bytesInWords(size)}.</p><button type="button" className="vbtn" onClick={() => { setState("loading"); }}>Load it</button></div>}
        {state === "loading" && <p className="over" role="status">Loading the volume, {bytesInWords(size)}…</p>}
      </div>
      <div className="sliders">{AXES.map(([which, name]) => (
        <label key={name}><span>{name} <b className="num">{(place[which] ?? 0) + 1}</b>/{dims[which]}</span><input type="range" min={0} max={(dims[which] ?? 1) - 1} value={place[which]} disabled={!there} aria-label={`${name} slice`} onFocus={() => { setAxis(which); }} onChange={(event) => { go(which, Number(event.target.value)); }} /></label>
      ))}</div>
      {nFrames > 1 && there && (
        <figure className="signal">
          <figcaption><span>At the crosshair</span> mean {show(Number(mean.toPrecision(4)))}, {show(Number(least.toPrecision(4)))} to {show(Number(most.toPrecision(4)))}<span className="grow" />{axisName} {times ? <b>{show(times[frame])} {volume.fourthAxisUnit}</b> : <b>{frame + 1}</b>}<span>value</span> <b>{show(value === null ? null : Number(value.toPrecision(5)))}</b></figcaption>
          <Curve values={curve} times={times} unit={volume.fourthAxisUnit ?? ""} at={frame} choose={toFrame} label={`${axisName}: ${show(least)} to ${show(most)} at the crosshair`} />
          <input type="range" className="sr" min={0} max={nFrames - 1} value={frame} aria-label={axisName || "Fourth axis"} onChange={(event) => { toFrame(Number(event.target.value)); }} />
        </figure>
      )}
      {nFrames === 1 && there && <p className="signal value-only">value <b>{show(value === null ? null : Number(value.toPrecision(5)))}</b> at the crosshair; drag with the right button for the window</p>}
    </>
  );
}

/** The values over the fourth axis; a click goes there. */
function Curve({ values, times, unit, at: now, choose, label }: { values: number[]; times: readonly number[] | null; unit: string; at: number; choose: (index: number) => void; label: string }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const marked = useRef({ now, choose });
  marked.current = { now, choose };
  useEffect(() => {
    const node = place.current;
    if (!node) return;
    const style = getComputedStyle(node);
    const line = style.getPropertyValue("--film-text"), grid = style.getPropertyValue("--film-line"), text = style.getPropertyValue("--film-text-2"), accent = style.getPropertyValue("--film-accent");
    const axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    const made = new uPlot({
      width: node.clientWidth, height: 130, legend: { show: false }, cursor: { y: false, points: { show: false } }, scales: { x: { time: false } },
      axes: [{ ...axis, size: 24, grid: { show: false }, values: (_, all) => all.map((each, i) => (i === all.length - 1 && unit ? `${String(each)} ${unit}` : String(each))) }, { ...axis, size: 54 }],
      series: [{}, { stroke: line, width: 1.3, points: { show: values.length < 40, size: 4, fill: line } }],
      hooks: { draw: [(drawn) => {
        const x = drawn.valToPos(drawn.data[0][marked.current.now] ?? 0, "x", true);
        drawn.ctx.save();
        drawn.ctx.strokeStyle = accent; drawn.ctx.lineWidth = 1.5 * devicePixelRatio;
        drawn.ctx.beginPath(); drawn.ctx.moveTo(x, drawn.bbox.top); drawn.ctx.lineTo(x, drawn.bbox.top + drawn.bbox.height); drawn.ctx.stroke();
        drawn.ctx.restore();
      }] },
    }, [times ? [...times] : values.map((_, i) => i + 1), values], node);
    made.over.addEventListener("click", () => { if (made.cursor.idx !== null && made.cursor.idx !== undefined) marked.current.choose(made.cursor.idx); });
    const watch = new ResizeObserver(() => { made.setSize({ width: node.clientWidth, height: 130 }); });
    watch.observe(node);
    plot.current = made;
    return () => { watch.disconnect(); made.destroy(); plot.current = null; };
    // Made once for an axis; values are set below.
  }, [times, unit, values.length]);
  useEffect(() => { plot.current?.setData([times ? [...times] : values.map((_, i) => i + 1), values]); }, [values, times]);
  useEffect(() => { plot.current?.redraw(false); }, [now]);
  return <div ref={place} className="curve" role="img" aria-label={label} />;
}

/** The middle planes as the server draws them, for a browser that cannot. */
function Planes({ volume, reason }: { volume: Shown; reason: string }) {
  return (
    <>
      <p className="no-viewer">{reason} The middle planes, as the server draws them:</p>
      <div className="planes three">{([["axial", volume.k, "A", "P", "R", "L"], ["coronal", volume.j, "S", "I", "R", "L"], ["sagittal", volume.i, "S", "I", "A", "P"]] as const).map(([name, url, top, bottom, left, right]) => (
        <div className="plane" key={name}><img src={at(url)} alt={`The middle ${name} plane`} /><span className="cap">{name}</span><span className="o t">{top}</span><span className="o b">{bottom}</span><span className="o l">{left}</span><span className="o r">{right}</span></div>
      ))}</div>
    </>
  );
}

/** The geometry of a volume in words. */
export interface Geometry {
  shape: readonly number[];
  affine: readonly (readonly number[])[];
  warnings: readonly string[];
}
const PLANES = ["sagittal", "coronal", "axial"] as const;
const TOWARDS = [["left", "right"], ["back", "front"], ["feet", "head"]] as const;
const DEGREES = 180 / Math.PI;

function column(affine: Geometry["affine"], i: number): [number, number, number] {
  return [affine[0]?.[i] ?? 0, affine[1]?.[i] ?? 0, affine[2]?.[i] ?? 0];
}

/**
 * How the slices lie: `35, axial, tilted 13° to the front`. The tilt is that of the normal of the
 * slices from the nearest axis of the patient (`affine` is RAS+); below one degree nothing is said.
 */
export function slicesInWords({ shape, affine }: Geometry): string {
  const [ax, ay, az] = column(affine, 0), [bx, by, bz] = column(affine, 1);
  const normal = [ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx];
  const length = Math.hypot(...normal);
  const n = (shape[2] ?? 1).toLocaleString("en");
  if (length === 0) return n;
  const unit = normal.map((each) => each / length);
  const sizes = unit.map(Math.abs);
  const nearest = sizes.indexOf(Math.max(...sizes));
  const sign = Math.sign(unit[nearest] ?? 1) || 1;
  const angle = Math.acos(Math.min(1, sizes[nearest] ?? 1)) * DEGREES;
  const plane = PLANES[nearest] ?? "axial";
  if (angle < 1) return `${n}, ${plane}`;
  const others = [0, 1, 2].filter((each) => each !== nearest).sort((a, b) => (sizes[b] ?? 0) - (sizes[a] ?? 0));
  const toward = others[0] ?? 0;
  const side = TOWARDS[toward]?.[(unit[toward] ?? 0) * sign > 0 ? 1 : 0] ?? "";
  return `${n}, ${plane}, tilted ${String(Math.round(angle))}° to the ${side}`;
}

const BYTES: Record<string, number> = { bool: 1, int8: 1, uint8: 1, int16: 2, uint16: 2, int32: 4, uint32: 4, float32: 4, int64: 8, uint64: 8, float64: 8 };
/** The size of the array in bytes. */
export function bytesOf(shape: readonly number[], dtype: string): number {
  return shape.reduce((product, each) => product * each, 1) * (BYTES[dtype] ?? 4);
}

export function bytesInWords(bytes: number): string {
  if (bytes < 1e6) return `${String(Math.max(1, Math.round(bytes / 1e3)))} kB`;
  return bytes < 1e9 ? `${String(Math.round(bytes / 1e6))} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

const TO: Record<string, string> = { L: "left", R: "right", P: "back", A: "front", I: "feet", S: "head" };
/** `LPS` as `left, back, head`. */
export function directions(orientation: string): string {
  return orientation.split("").map((each) => TO[each] ?? each).join(", ");
}

/** The path below which the server is seen, without a slash at its end: "" or "/dicom". */
export const BASE = new URL(import.meta.url).pathname.replace(/\/(static\/app|src)\/.*$/, "");

/**
 * The address of a download or picture that the API names: from the server's root, or, of a server
 * that knows below which path it is mounted, with that path already.
 */
export function at(path: string): string {
  return BASE && path.startsWith(`${BASE}/`) ? path : BASE + path;
}

/** The address of a small picture of a series or an image. */
export function thumbnail(kind: "series" | "images", uid: string, size: number): string {
  const name = kind === "series" ? "thumbnail" : "preview";
  return at(`/${kind}/${encodeURIComponent(uid)}/${name}.png?size=${size}`);
}

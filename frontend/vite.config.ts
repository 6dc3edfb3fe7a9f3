import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Every address in the built files is relative, so that a proxy may serve them below any path.
export default defineConfig({
  base: "./",
  plugins: [react()],
  // niivue can read Zarr; what decodes it would be 1.4 MB of WebAssembly that is never run.
  resolve: { alias: [{ find: /^numcodecs\/(blosc|lz4|zstd)$/, replacement: new URL("src/lib/no-codec.ts", import.meta.url).pathname }] },
  build: {
    outDir: "../dicom_graph/web/static/app",
    emptyOutDir: true,
    manifest: "vite.json",
    license: { fileName: "LICENSES.md" },
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 4000,
    rollupOptions: { input: "src/main.tsx" },
  },
});

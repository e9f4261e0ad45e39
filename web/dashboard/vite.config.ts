import { defineConfig } from "vite";

// The page runs under `default-src 'none'; script-src 'self'; style-src 'self'`: nothing may be
// inlined, so small assets stay files and the preload helper (an inline script) is off.
export default defineConfig({
  build: {
    outDir: "../static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    target: "es2022",
  },
});

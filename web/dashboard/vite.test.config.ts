import { readdirSync } from "node:fs";
import { defineConfig } from "vite";

const tests = readdirSync("test").filter((name) => name.endsWith(".test.ts"));

// Node runs the tests; Vite only turns them from TypeScript into modules that Node 20 can read.
export default defineConfig({
  build: {
    ssr: true,
    outDir: "dist/test",
    emptyOutDir: true,
    minify: false,
    rolldownOptions: { input: tests.map((name) => `test/${name}`) },
  },
});

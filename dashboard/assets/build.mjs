// Builds dashboard/static: bundled css and js, fonts and the icon sprite, all with hashed names, and manifest.json,
// which tells the app their names.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = path.dirname(fileURLToPath(import.meta.url));
const target = path.join(here, "..", "static");
const staging = `${target}.new`;
const require = createRequire(import.meta.url);

// Our name for an icon: its name in @tabler/icons.
const icons = JSON.parse(await readFile(path.join(here, "icons.json"), "utf8"));

async function sprite() {
  const symbols = [];
  for (const [name, file] of Object.entries(icons)) {
    const svg = await readFile(require.resolve(`@tabler/icons/outline/${file}.svg`), "utf8");
    const inner = svg.replace(/<!--[\s\S]*?-->/g, "").match(/<svg[^>]*>([\s\S]*)<\/svg>/)[1];
    const shapes = inner.replace(/\s*\n\s*/g, "").replace(/<path stroke="none"[^>]*\/>/, "");
    symbols.push(`<symbol id="i-${name}" viewBox="0 0 24 24">${shapes}</symbol>`);
  }
  return `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join("")}</svg>`;
}

await rm(staging, { recursive: true, force: true });
await mkdir(staging, { recursive: true });

const result = await build({
  entryPoints: { app: path.join(here, "css/app.css"), main: path.join(here, "js/main.js"), boot: path.join(here, "js/boot.js") },
  outdir: staging,
  bundle: true,
  minify: true,
  format: "iife",
  target: ["chrome123", "firefox120", "safari17.5"],
  entryNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  loader: { ".woff2": "file", ".svg": "file" },
  metafile: true,
  logLevel: "warning",
});

const manifest = {};
for (const [output, { entryPoint, inputs }] of Object.entries(result.metafile.outputs)) {
  const source = entryPoint ?? Object.keys(inputs)[0];
  manifest[path.basename(source)] = path.basename(output);
}

async function hashed(name, extension, content) {
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 8).toUpperCase();
  manifest[`${name}${extension}`] = `${name}-${hash}${extension}`;
  await writeFile(path.join(staging, `${name}-${hash}${extension}`), content);
}
await hashed("icons", ".svg", await sprite());
await hashed("favicon", ".svg", await readFile(path.join(here, "favicon.svg")));

let total = 0;
for (const file of await readdir(staging)) {
  if (/\.(css|js)$/.test(file)) total += gzipSync(await readFile(path.join(staging, file)), { level: 9 }).length;
}
await writeFile(path.join(staging, "manifest.json"), JSON.stringify(manifest, null, 2));
await rm(target, { recursive: true, force: true });
await rename(staging, target);
console.log(`dashboard/static: ${Object.keys(manifest).length} files, css and js ${(total / 1024).toFixed(1)} KiB compressed`);

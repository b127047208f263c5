// Bundles market/static into market/static/dist under hashed names, so that browsers may keep them for ever.
// manifest.json tells the templates which name is current. `npm run build`, or with --watch while working on them.
import { readdir, rm, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import * as esbuild from "esbuild";

const SOURCE = "market/static";
const DIST = `${SOURCE}/dist`;
// What printed ledgers are set in: whoever reads them need not have a Chinese font (market/ledger/printing.py).
const FONT = "node_modules/@expo-google-fonts/noto-sans-sc/400Regular/NotoSansSC_400Regular.ttf";

const manifest = {
  name: "manifest",
  setup(build) {
    build.onEnd(async ({ metafile }) => {
      const names = {};
      for (const [path, { entryPoint, cssBundle }] of Object.entries(metafile?.outputs ?? {})) {
        if (!entryPoint) continue;
        const name = basename(entryPoint);
        names[name] = `dist/${basename(path)}`;
        if (cssBundle) names[name.replace(/\.js$/, ".css")] = `dist/${basename(cssBundle)}`;
      }
      await writeFile(`${DIST}/manifest.json`, `${JSON.stringify(names, null, 2)}\n`);
      const current = new Set(["manifest.json", ...Object.keys(metafile?.outputs ?? {}).map((path) => basename(path))]);
      const stale = (await readdir(DIST)).filter((name) => !current.has(name));
      await Promise.all(stale.map((name) => rm(`${DIST}/${name}`)));
    });
  },
};

const context = await esbuild.context({
  entryPoints: ["app.js", "app.css", "api-docs.js", "plots.js", "staff.js", "live.js", "icon.svg"].map((name) => `${SOURCE}/${name}`).concat(FONT),
  outdir: DIST,
  entryNames: "[name]-[hash]",
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022", "chrome105", "firefox110", "safari16"],
  loader: { ".svg": "copy", ".ttf": "copy" },
  legalComments: "linked",
  logLevel: "warning",
  metafile: true,
  plugins: [manifest],
});
if (process.argv.includes("--watch")) {
  await context.watch();
} else {
  await context.rebuild();
  await context.dispose();
}

// Prints HCL files as JSON, {path: content}, by the parser that @cdktf/hcl2json has in WebAssembly. Its own JavaScript is
// left aside, since it wants further packages.
"use strict";
const fs = require("fs");
const path = require("path");
const zlib = require("zlib");

async function main(directory, files) {
  require(path.join(directory, "wasm/bridge_wasm_exec.js"));
  const go = new globalThis.Go();
  const code = zlib.gunzipSync(fs.readFileSync(path.join(directory, "main.wasm.gz")));
  const { instance } = await WebAssembly.instantiate(code, go.importObject);
  const parser = (globalThis.__parse_terraform_config_wasm__ = {});
  go.run(instance);
  const result = {};
  for (const file of files) {
    result[file] = await new Promise((resolve, reject) =>
      parser.parse(file, fs.readFileSync(file, "utf8"), (error, text) =>
        error ? reject(new Error(error)) : resolve(JSON.parse(text))));
  }
  fs.writeSync(1, JSON.stringify(result));
  process.exit(0);
}

main(path.resolve(process.argv[2]), process.argv.slice(3)).catch((error) => {
  console.error(error.message);
  process.exit(1);
});

// Validates Kubernetes objects against the schemas of their kinds: reads a list of them, writes for each a list of errors.
//   usage: node schemas.mjs NODE_MODULES < objects.json
import { existsSync, readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const modules = process.argv[2];

function modelFile(apiVersion, kind) {
  const group = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
  const owner =
    group === "keda.sh" ? "@kubernetes-models/keda"
    : group === "monitoring.coreos.com" ? "@kubernetes-models/prometheus-operator"
    : "kubernetes-models";
  return `${modules}/${owner}/${apiVersion}/${kind}.js`;
}

async function errorsOf(object) {
  const file = modelFile(object.apiVersion, object.kind);
  if (!existsSync(file)) return [`no schema for ${object.apiVersion} ${object.kind}`];
  const Model = (await import(pathToFileURL(file)))[object.kind];
  try {
    new Model(object).validate();
    return [];
  } catch (error) {
    return [error.message];
  }
}

const objects = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(await Promise.all(objects.map(errorsOf))));

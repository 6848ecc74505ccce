// Evaluates a ValidatingAdmissionPolicy's expressions: reads {policy, requests}, writes for each request the messages of the
// validations that deny it, or null where the policy does not match. What cannot be evaluated denies (failurePolicy Fail).
//   usage: node cel.mjs NODE_MODULES < input.json
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { run, isCelError } = await import(pathToFileURL(`${process.argv[2]}/@bufbuild/cel/dist/esm/index.js`));

function toCel(value) {
  if (Array.isArray(value)) return value.map(toCel);
  if (value === null || typeof value !== "object") return value;
  return new Map(Object.entries(value).map(([key, member]) => [key, toCel(member)]));
}

function evaluate(expression, bindings) {
  const value = run(expression, bindings);
  if (isCelError(value)) throw value;
  return value;
}

function holds(expression, bindings) {
  try {
    return evaluate(expression, bindings) === true;
  } catch {
    return false;
  }
}

function denials(policy, request) {
  const variables = new Map();
  const bindings = { ...Object.fromEntries(toCel(request)), variables };
  if (!policy.matchConditions.every((condition) => evaluate(condition.expression, bindings))) return null;
  for (const variable of policy.variables ?? []) variables.set(variable.name, evaluate(variable.expression, bindings));
  return policy.validations.filter((one) => !holds(one.expression, bindings)).map((one) => one.message);
}

const { policy, requests } = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(requests.map((request) => denials(policy, request))));

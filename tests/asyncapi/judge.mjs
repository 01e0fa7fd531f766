// Prints what the parser of AsyncAPI has against each of the documents that are named, as one JSON object: path → complaints.
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"

const [packages, ...documents] = process.argv.slice(2)
const { Parser } = createRequire(`${packages}/`)("@asyncapi/parser")
const said = {}
for (const path of documents) {
  const { document, diagnostics } = await new Parser().parse(readFileSync(path, "utf8"))
  said[path] = diagnostics.filter(({ code }) => code !== "asyncapi-latest-version").map(({ code, message, path: where }) => `${code} ${where.join(".")}: ${message}`)
  if (!document && !said[path].length)
    said[path].push("no document")
}
console.log(JSON.stringify(said))

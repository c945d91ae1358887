import { readFileSync } from "node:fs";
import { validate } from "@scalar/openapi-parser";
const { valid, errors } = await validate(readFileSync(process.argv[2], "utf8"));
console.log(errors);
process.exit(valid ? 0 : 1);

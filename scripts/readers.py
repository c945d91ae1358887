"""
Let tools that only read the contract read each of its files, and write the table of docs/other-languages.md.

    readers.py [NAME ...]    run the tools, or those that are named, and print the table; without a name, also write it

What the tools print goes to standard error. It needs Node.js with npm and a JDK 17 with Maven. ``make clients-table`` runs it; no
test does.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from _table import ROOT, main, shell, write_files
from artefacts import write

if TYPE_CHECKING:
    from collections.abc import Mapping

FILES = ("openapi.yaml", "openapi.json", "openapi-3.0.json")
HEAD = ("tool", "version", *(f"`{file}`" for file in FILES))
TOOLS = ROOT / "tools"
VERSIONS = json.loads((TOOLS / "package.json").read_text(encoding="utf-8"))["devDependencies"]


@attrs.frozen
class Reader:
    """
    A tool that reads the contract.

    Attributes:
        name: The tool, as the table has it.
        version: Its version.
        read: The shell command that fails unless the tool accepts the file that is appended to it.
        install: The shell command that installs it.
        files: The files that the commands need.
    """

    name: str
    version: str
    read: str
    install: str = "true"
    files: Mapping[str, str] = attrs.field(factory=dict)


def npm(name: str, package: str, version: str, program: str) -> Reader:
    """Return a reader with a program for Node.js that uses a package."""
    install = f"npm install --silent --no-progress {package}@{version}"
    return Reader(
        name,
        version,
        "node trial.mjs",
        install,
        {"trial.mjs": program, "package.json": '{"private": true}'},
    )


SWAGGER_PARSER = """
import SwaggerParser from "@apidevtools/swagger-parser";
await SwaggerParser.validate(process.argv[2]);
"""
SCALAR = """
import { readFileSync } from "node:fs";
import { validate } from "@scalar/openapi-parser";
const { valid, errors } = await validate(readFileSync(process.argv[2], "utf8"));
console.log(errors);
process.exit(valid ? 0 : 1);
"""
JAVA = """
import io.swagger.v3.parser.OpenAPIV3Parser;
public class Trial {
  public static void main(String[] arguments) {
    var messages = new OpenAPIV3Parser().readLocation(arguments[0], null, null).getMessages();
    System.out.println(messages);
    System.exit(messages.isEmpty() ? 0 : 1);
  }
}
"""
POM = """
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>example</groupId><artifactId>trial</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>io.swagger.parser.v3</groupId><artifactId>swagger-parser</artifactId><version>2.1.48</version>
  </dependency></dependencies>
</project>
"""
# Prism serves the file, and schemathesis, which reads it too, sends its examples.
EXAMPLES = f"""
port=$('{sys.executable}' -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
'{TOOLS}/node_modules/.bin/prism' mock --port $port "$1" >log 2>&1 &
trap "kill $!" EXIT
timeout 60 sh -c "until curl --silent --output log $url; do sleep 0.2; done"
'{Path(sys.executable).with_name("schemathesis")}' run "$1" --url $url --phases examples --no-color
"""
READERS = [
    Reader(
        "Redocly, `recommended-strict`",
        VERSIONS["@redocly/cli"],
        f"'{TOOLS}/node_modules/.bin/redocly' lint --config '{TOOLS}/redocly.yaml'",
    ),
    Reader(
        "Spectral, `spectral:oas`",
        VERSIONS["@stoplight/spectral-cli"],
        f"'{TOOLS}/node_modules/.bin/spectral' lint --ruleset '{TOOLS}/.spectral.yaml' --fail-severity hint",
    ),
    Reader(
        "openapi-spec-validator",
        version("openapi-spec-validator"),
        f"'{Path(sys.executable).with_name('openapi-spec-validator')}'",
    ),
    npm("swagger-parser for Node.js", "@apidevtools/swagger-parser", "13.1.0", SWAGGER_PARSER),
    Reader(
        "swagger-parser for Java",
        "2.1.48",
        "java -cp 'jars/*' Trial.java",
        "mvn --quiet dependency:copy-dependencies -DoutputDirectory=jars",
        {"Trial.java": JAVA, "pom.xml": POM},
    ),
    npm("Scalar, its parser", "@scalar/openapi-parser", "0.29.22", SCALAR),
    Reader(
        "Prism and schemathesis",
        f"{VERSIONS['@stoplight/prism-cli']} and {version('schemathesis')}",
        "sh examples.sh",
        files={"examples.sh": EXAMPLES},
    ),
]


def row(reader: Reader) -> tuple[str, ...]:
    """Let a tool read each file and return its row of the table."""
    print(reader.name, file=sys.stderr)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        shutil.copy(ROOT / "openapi.yaml", folder)
        write_files(folder, reader.files)
        assert not shell(reader.install, folder).returncode
        results = [shell(f"{reader.read} {file}", folder, report=True).returncode for file in FILES]
    return reader.name, reader.version, *("an error" if result else "yes" for result in results)


if __name__ == "__main__":
    main(HEAD, READERS, row)

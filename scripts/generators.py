"""
Run client generators on the contract, run what they wrote, and write the table of docs/other-languages.md.

    generators.py [NAME ...]    run the generators, or those that are named, and print the table; without a name, also write it

Each generated client sends two init requests to a server on this machine, which closes the kept connection at the second one,
and then gets a status that is not in the contract. The generators come from the registries of Java, Node.js, Python, Rust
and Go; what they wrote needs PHP with Guzzle, Ruby with Typhoeus, Node.js with npm, Go, a JDK 17 with Maven, and Rust.
``make clients-table`` runs it; no test does.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from _table import ROOT, VENV, main, shell, write_files

sys.path.insert(0, str(ROOT / "tests"))

from artefacts import write
from support.faults import FaultServer, respond

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.faults import Connection

HEAD = ("generator", "version", "file", "compiles", "an unknown status", "lost kept connection")
STARTED = respond("200 OK", {"id": 10}, "Connection: keep-alive")
NEW_STATUS = "ON_HOLD"
FOUND = respond("200 OK", {"status": NEW_STATUS}, "Connection: keep-alive")
CALLS = 2
OPENAPI_GENERATOR = "7.25.0"
JAR = ROOT / f"build/openapi-generator-cli-{OPENAPI_GENERATOR}.jar"
CARGO = f"CARGO_TARGET_DIR='{ROOT / 'build/rust'}' cargo"  # the crates are compiled once for all clients


@attrs.frozen
class Generator:
    """
    A generator, and a program that uses what it wrote.

    Attributes:
        name: The generator, as the table has it.
        version: Its version.
        file: The artefact that it gets, which is in the folder of the commands.
        generate: The shell command that generates the client; empty if ``build`` does it.
        files: The program. It gets a URL, sends two init requests whatever their results are, gets the status of a callback, and
            prints it on the last line, or the name of the error after ``error:``.
        build: The shell command that compiles the client and the program; empty if its toolchain is not at hand.
        run: The shell command that runs the program; empty if there is nothing to run.
    """

    name: str
    version: str
    file: str
    generate: str
    files: Mapping[str, str] = attrs.field(factory=dict)
    build: str = ""
    run: str = ""


def openapi_generator(
    language: str,
    options: str = "",
    *,
    files: Mapping[str, str] | None = None,
    build: str = "",
    run: str = "",
) -> Generator:
    """Return one of openapi-generator's generators, whose output is in the folder ``out``."""
    return Generator(
        f"openapi-generator, {language}",
        OPENAPI_GENERATOR,
        "openapi-3.0.json",
        f"java -jar '{JAR}' generate -g {language} -i openapi-3.0.json -o out {options}",
        files or {},
        build,
        run,
    )


BODY = '"access_key": "KEY", "callback_config_id": "CONFIG", "callback_number": "+493023125100", "delay": 0'
PHP = """<?php
require 'GuzzleHttp/autoload.php';
spl_autoload_register(function ($class) {
    require 'out/lib/' . str_replace(['OpenAPI\\\\Client\\\\', '\\\\'], ['', '/'], $class) . '.php';
});
use OpenAPI\\Client\\Model;
$api = new OpenAPI\\Client\\Api\\CallbackApi(null, (new OpenAPI\\Client\\Configuration())->setHost($argv[1]));
$request = ['access_key' => 'KEY', 'callback_config_id' => 'CONFIG', 'callback_number' => '+493023125100', 'delay' => 0];
for ($i = 0; $i < 2; $i++) {
    try {
        echo $api->initCallback(new Model\\InitCallbackRequest($request)), "\\n";
    } catch (Exception $error) {
        echo get_class($error), "\\n";
    }
}
try {
    echo $api->getCallbackStatus(new Model\\CallbackStatusRequest(['access_key' => 'KEY', 'id' => 10]))->getStatus(), "\\n";
} catch (Exception $error) {
    echo 'error:' . get_class($error), "\\n";
}
"""
RUBY = """
require 'openapi_client'
OpenapiClient.configure do |config|
  config.scheme, config.host = ARGV[0].split('://')
  config.server_index = nil
end
api = OpenapiClient::CallbackApi.new
2.times do
  request = { access_key: 'KEY', callback_config_id: 'CONFIG', callback_number: '+493023125100', delay: 0 }
  puts api.init_callback(OpenapiClient::InitCallbackRequest.new(request)).inspect
rescue StandardError => error
  puts error.class
end
begin
  puts api.get_callback_status(OpenapiClient::CallbackStatusRequest.new(access_key: 'KEY', id: 10)).status
rescue StandardError => error
  puts "error:#{error.class}"
end
"""
PYTHON = f"""
import sys
import openapi_client as tenios
api = tenios.CallbackApi(tenios.ApiClient(tenios.Configuration(host=sys.argv[1])))
for _ in range(2):
    try:
        print(api.init_callback(tenios.InitCallbackRequest(**{{{BODY}}})))
    except Exception as error:
        print(type(error))
try:
    print(api.get_callback_status(tenios.CallbackStatusRequest(access_key="KEY", id=10)).status)
except Exception as error:
    print("error:" + type(error).__name__)
"""
PYTHON_CLIENT = f"""
import sys
from out import Client
from out.api.callback import get_callback_status, init_callback
from out.models import CallbackStatusRequest, InitCallbackRequest
with Client(base_url=sys.argv[1]) as client:
    for _ in range(2):
        try:
            print(init_callback.sync(client=client, body=InitCallbackRequest(**{{{BODY}}})))
        except Exception as error:
            print(type(error))
    try:
        print(get_callback_status.sync(client=client, body=CallbackStatusRequest(access_key="KEY", id=10)).status)
    except Exception as error:
        print("error:" + type(error).__name__)
"""
PYDANTIC = """
import out
try:
    print(out.CallbackStatusResponse.model_validate_json('{"status": "ON_HOLD"}').status.root)
except Exception as error:
    print("error:" + type(error).__name__)
"""
JAVA = """
import org.openapitools.client.*;
import org.openapitools.client.api.CallbackApi;
import org.openapitools.client.model.*;
public class Trial {
  public static void main(String[] arguments) {
    var client = new ApiClient();
    client.updateBaseUri(arguments[0]);
    var api = new CallbackApi(client);
    for (int i = 0; i < 2; i++) {
      try {
        var request = new InitCallbackRequest().accessKey("KEY").callbackConfigId("CONFIG")
            .callbackNumber("+493023125100").delay(0);
        System.out.println(api.initCallback(request).getId());
      } catch (Exception error) {
        System.out.println(error);
      }
    }
    try {
      System.out.println(api.getCallbackStatus(new CallbackStatusRequest().accessKey("KEY").id(10L)).getStatus());
    } catch (Exception error) {
      System.out.println("error:" + error.getClass().getSimpleName());
    }
  }
}
"""
KOTLIN = """
import org.openapitools.client.apis.CallbackApi
import org.openapitools.client.models.CallbackStatusRequest
import org.openapitools.client.models.InitCallbackRequest

fun main(arguments: Array<String>) {
    val api = CallbackApi(arguments[0])
    repeat(2) {
        try {
            println(api.initCallback(InitCallbackRequest("KEY", "CONFIG", "+493023125100", 0)))
        } catch (error: Exception) {
            println(error)
        }
    }
    try {
        println(api.getCallbackStatus(CallbackStatusRequest("KEY", 10)).status)
    } catch (error: Exception) {
        println("error:" + error.javaClass.simpleName)
    }
    System.exit(0)
}
"""
KOTLIN_POM = """
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>example</groupId><artifactId>trial</artifactId><version>1</version>
  <properties><kotlin.compiler.daemon>false</kotlin.compiler.daemon></properties>
  <dependencies>
    <dependency><groupId>com.squareup.moshi</groupId><artifactId>moshi-kotlin</artifactId><version>1.15.2</version></dependency>
    <dependency><groupId>com.squareup.okhttp3</groupId><artifactId>okhttp-jvm</artifactId><version>5.4.0</version></dependency>
  </dependencies>
  <build><sourceDirectory>src/main/kotlin</sourceDirectory><plugins><plugin>
    <groupId>org.jetbrains.kotlin</groupId><artifactId>kotlin-maven-plugin</artifactId><version>2.4.0</version>
    <executions><execution><goals><goal>compile</goal></goals></execution></executions>
  </plugin></plugins></build>
</project>
"""
RUST = """
use openapi::apis::{callback_api, configuration::Configuration};
use openapi::models::{CallbackStatusRequest, InitCallbackRequest};

#[tokio::main]
async fn main() {
    let mut configuration = Configuration::new();
    configuration.base_path = std::env::args().nth(1).unwrap();
    for _ in 0..2 {
        let request = InitCallbackRequest::new("KEY".into(), "CONFIG".into(), "+493023125100".into(), 0);
        println!("{:?}", callback_api::init_callback(&configuration, request).await);
        std::thread::sleep(std::time::Duration::from_millis(100)); // until the connection can be used again
    }
    match callback_api::get_callback_status(&configuration, CallbackStatusRequest::new("KEY".into(), 10)).await {
        Ok(found) => println!("{}", found.status),
        Err(error) => println!("error:{}", error.to_string().lines().next().unwrap_or_default()),
    }
}
"""
PROGENITOR = """
progenitor::generate_api!("openapi-3.0.json");

#[tokio::main]
async fn main() {
    let client = Client::new(&std::env::args().nth(1).unwrap());
    for _ in 0..2 {
        let request = types::InitCallbackRequest {
            access_key: "KEY".parse().unwrap(),
            callback_config_id: "CONFIG".parse().unwrap(),
            callback_number: "+493023125100".parse().unwrap(),
            delay: 0,
            agent_announcement: None,
            dtmf_key_to_trigger_customer_call: None,
        };
        println!("{:?}", client.init_callback(&request).await);
        std::thread::sleep(std::time::Duration::from_millis(100)); // until the connection can be used again
    }
    let request = types::CallbackStatusRequest { access_key: "KEY".parse().unwrap(), id: 10.try_into().unwrap() };
    match client.get_callback_status(&request).await {
        Ok(found) => println!("{}", *found.status),
        Err(error) => println!("error:{error}"),
    }
}
"""
PROGENITOR_TOML = """
[package]
name = "trial"
version = "0.1.0"
edition = "2021"

[dependencies]
progenitor = "=0.15.1"
progenitor-client = "=0.15.1"
futures = "0.3"
regress = "0.10"
reqwest = { version = "0.13", default-features = false, features = ["json", "query", "stream"] }
serde = { version = "1", features = ["derive"] }
serde_json = "1"
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
"""
GO = """package main

import ("context"; "fmt"; "os"; tenios "IMPORT")

func main() {
	configuration := tenios.NewConfiguration()
	configuration.Servers = tenios.ServerConfigurations{{URL: os.Args[1]}}
	api := tenios.NewAPIClient(configuration).CallbackAPI
	for i := 0; i < 2; i++ {
		request := *tenios.NewInitCallbackRequest("KEY", "CONFIG", "+493023125100", 0)
		started, _, err := api.InitCallback(context.Background()).InitCallbackRequest(request).Execute()
		fmt.Println(started, err)
	}
	request := *tenios.NewCallbackStatusRequest("KEY", 10)
	found, _, err := api.GetCallbackStatus(context.Background()).CallbackStatusRequest(request).Execute()
	if err != nil { fmt.Printf("error:%T\\n", err) } else { fmt.Println(found.GetStatus()) }
}
"""
OAPI_CODEGEN = """package main

import ("context"; "fmt"; "os"; "trial/tenios")

func main() {
	client, _ := tenios.NewClientWithResponses(os.Args[1])
	for i := 0; i < 2; i++ {
		started, err := client.InitCallbackWithResponse(context.Background(), tenios.InitCallbackRequest{
			AccessKey: "KEY", CallbackConfigId: "CONFIG", CallbackNumber: "+493023125100"})
		fmt.Println(started, err)
	}
	request := tenios.CallbackStatusRequest{AccessKey: "KEY", Id: 10}
	found, err := client.GetCallbackStatusWithResponse(context.Background(), request)
	if err != nil { fmt.Printf("error:%T\\n", err) } else { fmt.Println(found.JSON200.Status) }
}
"""
OGEN = """package main

import ("context"; "fmt"; "os"; "trial/tenios")

func main() {
	client, _ := tenios.NewClient(os.Args[1])
	for i := 0; i < 2; i++ {
		started, err := client.InitCallback(context.Background(), &tenios.InitCallbackRequest{
			AccessKey: "KEY", CallbackConfigID: "CONFIG", CallbackNumber: "+493023125100"})
		fmt.Println(started, err)
	}
	found, err := client.GetCallbackStatus(context.Background(), &tenios.CallbackStatusRequest{AccessKey: "KEY", ID: 10})
	if err != nil { fmt.Printf("error:%T\\n", err); return }
	fmt.Println(found.(*tenios.CallbackStatusResponse).Status)
}
"""
TYPESCRIPT = f"""
IMPORT
const pause = () => new Promise((resume) => setTimeout(resume, 100)); // until the connection can be used again
const init = {{ {BODY} }};
const get = {{ "access_key": "KEY", "id": 10 }};
async function main(url: string) {{
  CLIENT
  for (let i = 0; i < 2; i++) {{
    try {{ console.log(JSON.stringify(INIT)); }} catch (error) {{ console.log(String(error)); }}
    await pause();
  }}
  try {{ console.log((STATUS); }} catch (error) {{ console.log("error:" + (error as Error).name); }}
}}
void main(process.argv[2]!);
"""
TSC = "npx tsc --noEmit --strict --skipLibCheck --target es2022 --module esnext --moduleResolution bundler --types node trial.ts"
ESBUILD = "npx esbuild trial.ts --bundle --platform=node --log-level=error --outfile=trial.js"


def typescript(
    generator: Generator, packages: str, *, imports: str, client: str, init: str, status: str
) -> Generator:
    """Return *generator* with a program in TypeScript, which is type-checked and then run by Node.js."""
    text = (
        TYPESCRIPT.replace("IMPORT", imports)
        .replace("CLIENT", client)
        .replace("INIT", init)
        .replace("STATUS", status)
    )
    install = (
        f"npm install --silent --no-progress typescript@5.9.3 esbuild @types/node@20 {packages}"
    )
    return attrs.evolve(
        generator,
        files={"trial.ts": text, "package.json": '{"private": true}'},
        generate=f"{install} && {generator.generate}",
        build=f"{TSC} && {ESBUILD}",
        run="node trial.js",
    )


GO_MODULE = "go mod init trial >log 2>&1 && "
GO_BUILD = "go mod tidy >>log 2>&1 && go build -o trial ."
GENERATORS = [
    openapi_generator(
        "php",
        files={"trial.php": PHP},
        build="find out/lib -name '*.php' -exec php -l {} +",
        run="php trial.php",
    ),
    openapi_generator(
        "ruby",
        files={"trial.rb": RUBY},
        build="ruby -c trial.rb",
        run="ruby -W0 -I out/lib trial.rb",
    ),
    openapi_generator(
        "python", files={"trial.py": PYTHON}, build=f"{VENV} ./out", run=".venv/bin/python trial.py"
    ),
    openapi_generator(
        "java",
        "--library native",
        files={"Trial.java": JAVA},
        build="cd out && mvn --quiet -DskipTests package dependency:copy-dependencies -DincludeScope=runtime",
        run="java -cp 'out/target/*:out/target/dependency/*' Trial.java",
    ),
    openapi_generator(
        "go",
        "--additional-properties=withGoMod=true",
        files={"out/trial/main.go": GO.replace("IMPORT", "github.com/GIT_USER_ID/GIT_REPO_ID")},
        build="cd out && rm -rf test && go mod tidy >log 2>&1 && go build -o ../run ./trial",
        run="./run",
    ),
    typescript(
        openapi_generator("typescript-fetch"),
        "",
        imports='import { CallbackApi, Configuration } from "./out/index";',
        client="const api = new CallbackApi(new Configuration({ basePath: url }));",
        init="await api.initCallback({ initCallbackRequest: { accessKey: init.access_key, "
        "callbackConfigId: init.callback_config_id, callbackNumber: init.callback_number, delay: 0 } })",
        status="await api.getCallbackStatus({ callbackStatusRequest: { accessKey: get.access_key, id: get.id } })).status",
    ),
    openapi_generator(
        "kotlin",
        files={"out/pom.xml": KOTLIN_POM, "out/src/main/kotlin/Trial.kt": KOTLIN},
        build="cd out && mvn --quiet package dependency:copy-dependencies",
        run="java -cp 'out/target/*:out/target/dependency/*' TrialKt",
    ),
    openapi_generator(
        "rust",
        files={"out/examples/trial.rs": RUST},
        build="cd out && cargo add --quiet --dev tokio --features macros,rt-multi-thread && "
        f"{CARGO} build --quiet --no-default-features --example trial",
        run=f"cd out && {CARGO} run --quiet --no-default-features --example trial",
    ),
    openapi_generator("csharp"),
    openapi_generator("dart"),
    Generator(
        "progenitor",
        "0.15.1",
        "openapi-3.0.json",
        "",
        {"Cargo.toml": PROGENITOR_TOML, "src/main.rs": PROGENITOR},
        f"{CARGO} build --quiet",
        f"{CARGO} run --quiet",
    ),
    Generator(
        "oapi-codegen",
        "2.8.2",
        "openapi.json",
        f"{GO_MODULE} mkdir tenios && go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 "
        "-generate types,client -package tenios -o tenios/tenios.go openapi.json",
        {"main.go": OAPI_CODEGEN},
        GO_BUILD,
        "./trial",
    ),
    Generator(
        "ogen",
        "1.24.0",
        "openapi-3.0.json",
        f"{GO_MODULE} go run github.com/ogen-go/ogen/cmd/ogen@v1.24.0 --package tenios --target tenios openapi-3.0.json",
        {"main.go": OGEN},
        GO_BUILD,
        "./trial",
    ),
    typescript(
        Generator(
            "openapi-typescript",
            "7.13.0",
            "openapi.json",
            "npx openapi-typescript openapi.json -o out.d.ts",
        ),
        "openapi-typescript@7.13.0 openapi-fetch",
        imports='import createClient from "openapi-fetch"; import type { paths } from "./out";',
        client="const client = createClient<paths>({ baseUrl: url });",
        init='await client.POST("/callback/init", { body: init })',
        status='await client.POST("/callback/status", { body: get })).data!.status',
    ),
    typescript(
        Generator("hey-api", "0.99.0", "openapi.json", "npx openapi-ts -i openapi.json -o out"),
        "@hey-api/openapi-ts@0.99.0",
        imports='import { getCallbackStatus, initCallback } from "./out"; import { client } from "./out/client.gen";',
        client="client.setConfig({ baseUrl: url, throwOnError: true });",
        init="await initCallback({ body: init })",
        status="await getCallbackStatus({ body: get, throwOnError: true })).data.status",
    ),
    typescript(
        Generator(
            "orval",
            "8.38.0",
            "openapi.json",
            "npx orval --input openapi.json --output out.ts --client axios-functions",
        ),
        "orval@8.38.0 axios@1",
        imports='import axios from "axios"; import { getCallbackStatus, initCallback } from "./out";',
        client="axios.defaults.baseURL = url;",
        init="(await initCallback(init)).data",
        status="await getCallbackStatus(get)).data.status",
    ),
    typescript(
        Generator(
            "openapi-zod-client",
            "1.18.3",
            "openapi-3.0.json",
            "npx openapi-zod-client openapi-3.0.json -o out.ts",
        ),
        "openapi-zod-client@1.18.3 @zodios/core@10 zod@3 axios@1",
        imports='import { createApiClient } from "./out";',
        client="const api = createApiClient(url);",
        init='await api.post("/callback/init", init)',
        status='await api.post("/callback/status", get)).status',
    ),
    Generator(
        "openapi-python-client",
        "0.29.1",
        "openapi-3.0.json",
        f"{VENV} openapi-python-client==0.29.1 && .venv/bin/openapi-python-client generate --path openapi-3.0.json --meta none "
        "--output-path out",
        {"trial.py": PYTHON_CLIENT},
        ".venv/bin/python -m compileall -q out",
        ".venv/bin/python trial.py",
    ),
    Generator(
        "datamodel-code-generator",
        "0.89.0",
        "openapi-3.0.json",
        f"{VENV} datamodel-code-generator==0.89.0 'pydantic>=2' && .venv/bin/datamodel-codegen --input openapi-3.0.json "
        "--output out.py --output-model-type pydantic_v2.BaseModel",
        {"trial.py": PYDANTIC},
        ".venv/bin/python -m compileall -q out.py",
        ".venv/bin/python trial.py",
    ),
]


def run(generator: Generator, folder: Path) -> tuple[str, str]:
    """Return what an unknown status becomes, and what happens when a kept connection is lost."""
    used: set[Connection] = set()
    reused = False

    def handle(connection: Connection) -> None:
        nonlocal reused
        if server.paths[-1] == "/callback/status":
            FOUND(connection)
        elif connection in used:
            reused = True
            raise ConnectionAbortedError
        else:
            used.add(connection)
            STARTED(connection)

    with FaultServer(handle, keep_open=True) as server:
        ran = shell(f"{generator.run} {server.url}", folder)
        sent = server.paths.count("/callback/init")
    print(f"  {sent} init requests, kept connection {reused}: {ran.stdout}", file=sys.stderr)
    last = ran.stdout.strip().splitlines()[-1]
    if last == NEW_STATUS:
        status = "kept"
    else:
        status = (
            f"an error, `{last.removeprefix('error:')}`"
            if last.startswith("error:")
            else f"`{last}`"
        )
    if not sent:
        return status, "no client"
    assert sent >= CALLS, ran.stdout + ran.stderr
    if sent > CALLS:
        return status, "**sends it again**"
    return status, "an error" if reused else "not met: a new connection for each request"


def row(generator: Generator) -> tuple[str, ...]:
    """Run a generator and return its row of the table."""
    print(generator.name, file=sys.stderr)
    head = (generator.name, generator.version, f"`{generator.file}`")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        generated = shell(generator.generate or "true", folder)
        for line in (generated.stdout + generated.stderr).splitlines():
            if " WARN " in line:
                print(f"  {line}", file=sys.stderr)
        if generated.returncode:
            return *head, "is not generated", "-", "-"
        write_files(folder, generator.files)
        if not generator.build:
            return *head, "generated, not compiled", "not run", "not run"
        if shell(generator.build, folder).returncode:
            return *head, "no", "-", "-"
        return *head, "yes", *run(generator, folder)


def download() -> None:
    """Get openapi-generator from Maven Central, unless it is here."""
    artifact = f"org.openapitools:openapi-generator-cli:{OPENAPI_GENERATOR}"
    command = [
        "mvn",
        "--quiet",
        "dependency:copy",
        f"-Dartifact={artifact}",
        f"-DoutputDirectory={JAR.parent}",
    ]
    if not JAR.exists():
        subprocess.run(command, check=True)


if __name__ == "__main__":
    download()
    main(HEAD, GENERATORS, row)

"""
See which requests HTTP libraries repeat on their own, and write the table of docs/other-languages.md.

    http_libraries.py [NAME ...]    try the libraries, or those that are named, and print the table; without a name, also write it

Each trial is a program of two POST requests, run twice against a server on this machine: as the library is by default, and with
the settings that the table shows. It needs PHP with Guzzle, Ruby with Typhoeus (Debian's php-guzzlehttp-guzzle and
ruby-typhoeus), Node.js with npm, Go, a JDK 17 with Maven, and Rust. ``make clients-table`` runs it; no test does.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from _table import ROOT, VENV, main, write_files

sys.path.insert(0, str(ROOT / "tests"))

from support.faults import Connection, Fault, FaultServer, in_turn, respond, respond_raw

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD = ("library", "tried with", "repeats by default", "how to prevent it")
STARTED = respond("200 OK", {"id": 10}, "Connection: keep-alive")
CALLS = 2


class Trial(NamedTuple):
    """
    A library and a program that uses it.

    Attributes:
        name: The library, as the table has it.
        files: The program's files. It gets a URL, prints the version on the first line, and sends two POST requests.
        run: The command that runs it, in the folder of the files.
        default: The text in the files that ``careful`` stands in the place of.
        careful: The settings that prevent repetitions, as the table shows them.
        build: The command that prepares it.
    """

    name: str
    files: dict[str, str]
    run: tuple[str, ...]
    default: str
    careful: str
    build: tuple[str, ...] = ("true",)


def close_on_reuse() -> Fault:
    """Return a fault that closes a connection without a response when a second request arrives on it."""
    used: set[Connection] = set()

    def respond_or_close(connection: Connection) -> None:
        if connection in used:
            print("    on a kept connection", file=sys.stderr)
            raise ConnectionAbortedError
        used.add(connection)
        STARTED(connection)

    return respond_or_close


#: What the server does, by the name in the table. All others of the two requests are answered.
FAULTS: dict[str, Callable[[], Fault]] = {
    "kept connection lost": close_on_reuse,
    "307": lambda: in_turn(
        respond_raw("307 Temporary Redirect", b"", "Location: /moved"), others=STARTED
    ),
    "308": lambda: in_turn(
        respond_raw("308 Permanent Redirect", b"", "Location: /moved"), others=STARTED
    ),
    "408": lambda: in_turn(respond_raw("408 Request Timeout"), others=STARTED),
    "421": lambda: in_turn(respond_raw("421 Misdirected Request"), others=STARTED),
    "503 with `Retry-After: 0`": lambda: in_turn(
        respond_raw("503 Service Unavailable", b"", "Retry-After: 0"), others=STARTED
    ),
}

PHP_CURL = r"""<?php
echo 'PHP ' . PHP_VERSION . ', libcurl ' . curl_version()['version'] . "\n";
$curl = curl_init($argv[1]);
for ($i = 0; $i < 2; $i++) {
    curl_setopt_array($curl, [CURLOPT_POSTFIELDS => '{}', CURLOPT_RETURNTRANSFER => true, SETTINGS]);
    echo curl_exec($curl) === false ? curl_error($curl) : curl_getinfo($curl, CURLINFO_RESPONSE_CODE), "\n";
}
"""
GUZZLE = r"""<?php
require 'GuzzleHttp/autoload.php';
echo 'Guzzle ' . strtok(shell_exec("dpkg-query -W -f '\${Version}' php-guzzlehttp-guzzle"), '-') . "\n";
$client = new GuzzleHttp\Client();
for ($i = 0; $i < 2; $i++) {
    try {
        echo $client->post($argv[1], ['body' => '{}', 'http_errors' => false, SETTINGS])->getStatusCode(), "\n";
    } catch (GuzzleHttp\Exception\TransferException $error) {
        echo $error->getMessage(), "\n";
    }
}
"""
TYPHOEUS = r"""
require 'typhoeus'
puts "Typhoeus #{Typhoeus::VERSION}"
2.times { puts Typhoeus.post(ARGV[0], body: '{}', **{SETTINGS}).code }
"""
OKHTTP = r"""
import okhttp3.*;
public class Trial {
  public static void main(String[] arguments) throws Exception {
    System.out.println("OkHttp " + OkHttp.VERSION);
    var client = new OkHttpClient();
    for (int i = 0; i < 2; i++) {
      RequestBody body = new RequestBody() {
        public MediaType contentType() { return MediaType.get("application/json"); }
        public long contentLength() { return 2; }
        public void writeTo(okio.BufferedSink sink) throws java.io.IOException { sink.writeUtf8("{}"); }
        SETTINGS
      };
      try (var response = client.newCall(new Request.Builder().url(arguments[0]).post(body).build()).execute()) {
        System.out.println(response.code() + response.body().string());
      } catch (java.io.IOException error) {
        System.out.println(error);
      }
    }
    System.exit(0);
  }
}
"""
OKHTTP_POM = """
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>example</groupId><artifactId>trial</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>com.squareup.okhttp3</groupId><artifactId>okhttp-jvm</artifactId><version>5.5.1</version>
  </dependency></dependencies>
</project>
"""
JAVA = r"""
import java.net.URI;
import java.net.http.*;
public class Trial {
  public static void main(String[] arguments) throws Exception {
    System.out.println("Java " + Runtime.version().feature());
    var client = HttpClient.newBuilder()SETTINGS.build();
    for (int i = 0; i < 2; i++) {
      try {
        var request = HttpRequest.newBuilder(URI.create(arguments[0])).POST(HttpRequest.BodyPublishers.ofString("{}"));
        System.out.println(client.send(request.build(), HttpResponse.BodyHandlers.ofString()).statusCode());
      } catch (java.io.IOException error) {
        System.out.println(error);
      }
    }
  }
}
"""
PYTHON = r"""
import sys
import NAME as library
print("NAME", library.__version__)
with library.CLIENT() as client:
    for _ in range(2):
        try:
            print(client.request("POST", sys.argv[1], BODY="{}", SETTINGS).STATUS)
        except Exception as error:
            print(error)
"""
FETCH = r"""
console.log(`Node.js ${process.versions.node.split(".")[0]}, undici ${process.versions.undici}`);
for (let i = 0; i < 2; i++) {
  try {
    const response = await fetch(process.argv[2], { method: "POST", SETTINGS });
    console.log(response.status, await response.text());
    await new Promise((resume) => setTimeout(resume, 100)); // until the connection can be used again
  } catch (error) {
    console.log(String(error.cause ?? error));
  }
}
"""
AXIOS = r"""
import http from "node:http";
import axios from "axios";
console.log(`axios ${axios.VERSION}`);
const client = axios.create({ validateStatus: null, SETTINGS });
for (let i = 0; i < 2; i++) {
  try {
    console.log((await client.post(process.argv[2], "{}")).status);
    await new Promise((resume) => setTimeout(resume, 100)); // until the connection can be used again
  } catch (error) {
    console.log(String(error));
  }
}
"""
REQWEST_TOML = """
[package]
name = "trial"
version = "0.1.0"
edition = "2021"
[dependencies]
reqwest = { version = "=0.13.5", default-features = false, features = ["blocking"] }
"""
REQWEST = r"""
fn main() {
    println!("reqwest 0.13.5");
    let client = reqwest::blocking::Client::builder()SETTINGS.build().unwrap();
    for _ in 0..2 {
        std::thread::sleep(std::time::Duration::from_millis(100)); // until the connection can be used again
        match client.post(std::env::args().nth(1).unwrap()).body("{}").send() {
            Ok(response) => println!("{} {:?}", response.status(), response.text()),
            Err(error) => println!("{error:?}"),
        }
    }
}
"""
GO = r"""
package main

import ("fmt"; "io"; "net/http"; "os"; "runtime"; "strings")

func main() {
	fmt.Println(strings.Replace(runtime.Version(), "go", "Go ", 1))
	client := &http.Client{SETTINGS}
	for i := 0; i < 2; i++ {
		response, err := client.Post(os.Args[1], "application/json", strings.NewReader("{}"))
		if err != nil {
			fmt.Println(err)
			continue
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		fmt.Println(response.StatusCode, string(body), err)
	}
}
"""


def python(name: str, client: str, body: str, status: str, careful: str) -> Trial:
    """Return a trial of a Python library, in an environment of its own."""
    text = PYTHON.replace("NAME", name).replace("CLIENT", client).replace("STATUS", status)
    files = {"trial.py": text.replace("BODY", body)}
    build = ("sh", "-c", f"{VENV} {name}")
    return Trial(
        name, files, (".venv/bin/python", "-W", "ignore", "trial.py"), "SETTINGS", careful, build
    )


TRIALS = [
    Trial(
        "PHP's curl extension",
        {"trial.php": PHP_CURL},
        ("php", "trial.php"),
        "SETTINGS",
        "CURLOPT_FRESH_CONNECT => true, CURLOPT_FORBID_REUSE => true",
    ),
    Trial(
        "Guzzle",
        {"trial.php": GUZZLE},
        ("php", "trial.php"),
        "SETTINGS",
        "'allow_redirects' => false, 'curl' => [CURLOPT_FRESH_CONNECT => true, CURLOPT_FORBID_REUSE => true]",
    ),
    Trial(
        "Typhoeus",
        {"trial.rb": TYPHOEUS},
        ("ruby", "-W0", "trial.rb"),
        "SETTINGS",
        "fresh_connect: true, forbid_reuse: true, followlocation: false",
    ),
    Trial(
        "OkHttp",
        {"Trial.java": OKHTTP, "pom.xml": OKHTTP_POM},
        ("java", "-cp", "jars/*", "Trial.java"),
        "SETTINGS",
        "@Override public boolean isOneShot() { return true; }",
        ("mvn", "--quiet", "dependency:copy-dependencies", "-DoutputDirectory=jars"),
    ),
    Trial(
        "java.net.http",
        {"Trial.java": JAVA},
        ("java", "Trial.java"),
        "SETTINGS",
        ".followRedirects(HttpClient.Redirect.NEVER)",
    ),
    python("requests", "Session", "data", "status_code", "allow_redirects=False"),
    python("urllib3", "PoolManager", "body", "status", "redirect=False, retries=False"),
    Trial(
        "fetch",
        {"trial.mjs": FETCH.replace("SETTINGS", 'body: "{}"')},
        ("node", "trial.mjs"),
        'body: "{}"',
        'body: new Blob(["{}"]).stream(), duplex: "half", headers: { "Content-Length": "2" }, redirect: "manual"',
    ),
    Trial(
        "axios",
        {"trial.mjs": AXIOS, "package.json": '{"private": true}'},
        ("node", "trial.mjs"),
        "SETTINGS",
        "maxRedirects: 0",
        ("npm", "install", "--silent", "--no-progress", "axios@1.21.1"),
    ),
    Trial(
        "reqwest",
        {"src/main.rs": REQWEST, "Cargo.toml": REQWEST_TOML},
        ("target/debug/trial",),
        "SETTINGS",
        ".redirect(reqwest::redirect::Policy::none()).pool_max_idle_per_host(0)",
        ("cargo", "build", "--quiet"),
    ),
    Trial(
        "net/http",
        {"trial.go": GO},
        ("./trial",),
        "SETTINGS",
        "Transport: &http.Transport{DisableKeepAlives: true}, "
        "CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }",
        ("go", "build", "-o", "trial", "trial.go"),
    ),
]


def prepare(trial: Trial, folder: Path, settings: str) -> None:
    """Write the program with these settings into *folder* and build it."""
    write_files(
        folder, {name: text.replace(trial.default, settings) for name, text in trial.files.items()}
    )
    subprocess.run(trial.build, cwd=folder, check=True)


def repetitions(trial: Trial, folder: Path) -> tuple[str, list[str]]:
    """Return the version that the program prints, and the faults after which it sends a request again."""
    version, repeated = "", []
    for name, fault in FAULTS.items():
        with FaultServer(fault(), keep_open=True) as server:
            ran = subprocess.run(
                [*trial.run, f"{server.url}/callback/init"],
                cwd=folder,
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
        version, *results = ran.stdout.splitlines()
        print(f"  {name}: {len(server.bodies)} requests, {results}", file=sys.stderr)
        assert len(results) == CALLS, ran.stdout + ran.stderr
        posts = [body for body in server.bodies if body == b"{}"]
        assert len(posts) >= CALLS, ran.stdout + ran.stderr
        if len(posts) > CALLS:
            repeated.append(name)
    return version, repeated


def row(trial: Trial) -> tuple[str, ...]:
    """Try a library and return its row of the table."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for settings in ("" if trial.default == "SETTINGS" else trial.default, trial.careful):
            print(f"{trial.name} with {settings or 'its defaults'}", file=sys.stderr)
            prepare(trial, Path(folder), settings)
            found.append(repetitions(trial, Path(folder)))
    (version, by_default), (_, anyway) = found
    assert anyway == [], f"{trial.name} still repeats a request: {anyway}"
    return trial.name, version, ", ".join(by_default) or "nothing", f"`{trial.careful}`"


if __name__ == "__main__":
    main(HEAD, TRIALS, row)

from __future__ import annotations

from cli.command import ROOT, objects, python, tenios

from tenios_simulator import MAGIC_NUMBERS

EXTRA = ["httptools", "jinja2", "jsonschema_rs", "markdown_it", "yaml", "starlette", "uvicorn"]


def test_numbers_lists_each_magic_number() -> None:
    lines = tenios("numbers").stdout.splitlines()
    assert lines == [f"{magic.display}  {magic.description}" for magic in MAGIC_NUMBERS.values()]
    listed = objects(tenios("numbers", "--json"))
    assert [(each["number"], each["display"], each["description"]) for each in listed] == [
        (magic.number, magic.display, magic.description) for magic in MAGIC_NUMBERS.values()
    ]


def test_numbers_needs_no_extra() -> None:
    result = python(
        f"import sys; sys.modules.update(dict.fromkeys({EXTRA})); from tenios_cli import main; "
        "main(['numbers'])"
    )
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == len(MAGIC_NUMBERS)


def test_contract_prints_openapi_yaml() -> None:
    assert tenios("contract").stdout == (ROOT / "openapi.yaml").read_text(encoding="utf-8")


def test_contract_in_an_unknown_format_is_wrong_usage() -> None:
    result = tenios("contract", "--format", "xml")
    assert result.returncode == 2
    assert "'yaml', 'json', '3.0'" in result.stderr

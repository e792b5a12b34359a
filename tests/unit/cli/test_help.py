"""The help of the commands, and its copy in docs/reference/cli.md."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from api.cli.command_group import commands_of
from api.cli.command_reference import PAGE, updated
from api.cli.main import main


def commands(group=main, path=()):
    for name, command in commands_of(group).items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def test_the_reference_is_up_to_date():
    assert updated(PAGE.read_text()) == PAGE.read_text(), "run make tables"


def test_the_reference_has_every_command_and_option():
    page = PAGE.read_text()
    for path, command in commands():
        section = page.partition(f"#### cto {' '.join(path)}\n")[2].partition("\n####")[0]
        assert section, path
        for parameter in command.params:
            for option in (*parameter.opts, *parameter.secondary_opts):
                assert option in section or parameter.param_type_name == "argument", (path, option)


def test_every_command_is_in_one_section():
    listed = [name for names in main.sections.values() for name in names]
    assert sorted(listed) == sorted(commands_of(main))


def test_an_unknown_command_is_refused_with_similar_names():
    for mistyped, advice in {
        "submitt": "Did you mean 'submit'?",
        "job": "Did you mean 'jobs'?",
        "lokal-chain": "Did you mean 'local-chain'?",
    }.items():
        refused = CliRunner().invoke(main, [mistyped])
        assert refused.exit_code == 2, mistyped
        assert f"No such command '{mistyped}'. {advice}" in refused.output, mistyped
    assert CliRunner().invoke(main, ["xyz"]).output.endswith("No such command 'xyz'.\n")
    assert "No such option" in CliRunner().invoke(main, ["--xyz"]).output


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_list_of_commands_shows_every_summary_in_full(width):
    text = CliRunner().invoke(main, ["--help"], terminal_width=width, env={"COLUMNS": str(width)}).output
    words = " ".join(text.split())
    for title in main.sections:
        assert f"\n{title}:\n" in text
    for command in commands_of(main).values():
        first_sentence = command.help.partition("\n\n")[0]
        assert " ".join(first_sentence.split()) in words
    assert "..." not in text.replace("[ARGS]...", "")


def test_every_option_has_a_description():
    for path, command in commands():
        assert command.help, path
        for parameter in command.params:
            assert parameter.param_type_name == "argument" or parameter.help, (path, parameter.name)


def test_every_option_with_a_number_refuses_numbers_that_are_not_finite():
    checked = set()
    for path, command in commands():
        for parameter in command.params:
            if isinstance(parameter.type, click.types.FloatParamType):
                checked.add(path[-1])
                for text in ("nan", "inf", "-inf"):
                    with pytest.raises(click.BadParameter):
                        pytest.fail(f"{path} {parameter.name}: {parameter.type.convert(text, None, None)}")
    assert checked >= {"submit", "resolve", "deposit", "token", "park", "migrate"}


@pytest.mark.parametrize(("market", "command"), [("paper", "chain"), ("solana", "ledger")])
def test_a_command_of_another_market_says_so(monkeypatch, market, command):
    monkeypatch.setenv("CTO_MARKET", market)
    refused = CliRunner().invoke(main, ["market", command])
    assert refused.exit_code == 1
    assert refused.output.startswith(f"Error: CTO_MARKET is {market}: ")
    assert "for the market `" in refused.output

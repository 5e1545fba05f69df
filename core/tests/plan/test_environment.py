"""The environment of a bottle: what is shown, what is forwarded, and what is asked for."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_bottle.declare import NoSection
from claude_bottle.errors import BottleError, Problem
from claude_bottle.manifest.types import Egress, EnvEntry, Inject, Secret
from claude_bottle.plan.environment import (
    EnvNames,
    Login,
    SecretSources,
    env_names,
    env_problems,
    login_notes,
    question_problems,
    resolve_answers,
    resolve_env,
)
from claude_bottle.plan.spec import BottleSpec, Choice
from claude_bottle.seam.part import Credential, Part


def spec(env: Mapping[str, EnvEntry]) -> BottleSpec:
    """Return a spec with these variables."""
    return BottleSpec(
        agent="reviewer",
        slug="reviewer",
        bottle="dev",
        agent_plugin="claude",
        backend=Choice("stage", "flag"),
        proxy=Choice("stageway", "flag"),
        egress=Egress(),
        folder=Path("/project"),
        env=tuple(env.items()),
    )


def answer(question: str) -> str:
    """Answer as a user at a terminal."""
    return f"answer to {question}"


def values(env: Mapping[str, EnvEntry], sources: SecretSources) -> tuple[EnvNames, dict[str, str]]:
    """Return the names of the plan, and what is forwarded."""
    names = env_names(spec(env), [], sources)
    return names, dict(resolve_env(spec(env), names, sources))


def test_literals_interpolated_and_secret_values_are_told_apart() -> None:
    """S10, S18: a literal is shown, a value of the host's environment and a secret are forwarded by name."""
    env = {"B": "text", "A": "${HOST_A}/v2", "S": Secret(secret="Token")}
    sources = SecretSources({"HOST_A": "https://x"}, {}, answer)
    names, forwarded = values(env, sources)
    assert names == EnvNames((("B", "text"),), ("A", "S"), sources=(("S", "asked for"),))
    assert forwarded == {"A": "https://x/v2", "S": "answer to Token"}


def test_two_dollars_are_one_and_stay_literal() -> None:
    """`$$` is a dollar, and no reason to forward a value."""
    assert env_names(spec({"A": "cost: $$5 $${HOME}"}), [], SecretSources({"HOME": "/h"}, {})).literals == (
        ("A", "cost: $5 ${HOME}"),
    )


@given(st.text(st.characters(blacklist_characters="\0$", codec="utf-8")))
def test_text_without_a_dollar_is_taken_as_it_is(text: str) -> None:
    """A literal of any text arrives unchanged."""
    assert env_names(spec({"A": text}), [], SecretSources({}, {})).literals == (("A", text),)


def test_a_default_holds_where_the_variable_is_unset_or_empty() -> None:
    """`${NAME:-default}` needs no variable; an empty one counts as unset, as in a shell."""
    env = {"A": "${X:-one}", "B": "${Y:-two}", "C": "${Z:-three}", "D": "${X:-}"}
    sources = SecretSources({"Y": "", "Z": "set"}, {})
    assert env_problems(spec(env), sources) == []
    assert values(env, sources)[1] == {"A": "one", "B": "two", "C": "set", "D": ""}


def test_a_variable_that_is_set_to_nothing_is_there() -> None:
    """`${NAME}` of an empty variable is empty text, not a problem."""
    sources = SecretSources({"X": ""}, {})
    assert env_problems(spec({"A": "${X}"}), sources) == []
    assert values({"A": "${X}"}, sources)[1] == {"A": ""}


def test_every_value_that_cannot_be_had_is_a_problem() -> None:
    """S6: unset variables and secrets that cannot be asked for are all named, with what to do, and without values."""
    env = {"A": "${ONE}${TWO}", "S": Secret(secret="Token"), "T": Secret(secret="Other")}
    sources = SecretSources({}, {"T": "from a file", "U": "stray"})
    assert env_problems(spec(env), sources) == [
        Problem("A needs the host's variable ONE, which is not set", "export ONE=…", "bottles.dev.env.A"),
        Problem("A needs the host's variable TWO, which is not set", "export TWO=…", "bottles.dev.env.A"),
        Problem(
            "the secret S cannot be asked for without a terminal",
            "start it from a terminal, or give --secret-file S=PATH",
            "bottles.dev.env.S",
        ),
    ]


def test_what_a_plugin_needs_is_asked_for_like_a_secret() -> None:
    """A plugin's question is a problem without a terminal unless a file answers it, and so is an answer to none."""
    questions = [("id_work", "Passphrase of id_work"), ("id_home", "Passphrase of id_home")]
    files = {"id_home": "from a file", "U": "stray", "S": "a secret of the manifest"}
    sources = SecretSources({}, files)
    assert question_problems(spec({"S": Secret(secret="Token")}), questions, sources) == [
        Problem(
            "id_work: Passphrase of id_work cannot be asked for without a terminal",
            "start it from a terminal, or give --secret-file id_work=PATH",
        ),
        Problem("--secret-file U: the manifest has no secret of this name", "check the name"),
    ]
    answers = resolve_answers(questions, SecretSources({}, files, answer))
    assert dict(answers) == {"id_work": "answer to Passphrase of id_work", "id_home": "from a file"}


def test_a_secret_file_goes_before_the_question() -> None:
    """A secret that a file gives is not asked for."""
    sources = SecretSources({}, {"S": "from a file"}, answer)
    assert values({"S": Secret(secret="Token"), "T": Secret(secret="Other")}, sources)[1] == {
        "S": "from a file",
        "T": "answer to Other",
    }


def part(env: Mapping[str, str] | None = None, forward: tuple[str, ...] = ()) -> Part[NoSection]:
    """Return an agent's part."""
    return Part(section=NoSection(), env=tuple((env or {}).items()), forward=forward)


def test_an_agent_s_login_is_forwarded_where_the_host_has_it() -> None:
    """S12: the login token takes the way of every other forwarded value; unset or empty it is left out."""
    parts = [part(forward=("TOKEN", "UNSET", "EMPTY"))]
    environ = {"TOKEN": "value", "EMPTY": ""}
    names = env_names(spec({}), parts, SecretSources(environ, {}))
    assert names == EnvNames((), ("TOKEN",))
    assert dict(resolve_env(spec({}), names, SecretSources(environ, {}))) == {"TOKEN": "value"}


def test_an_agent_without_a_login_is_named() -> None:
    """Not one that has a credential, from host, manifest or store, nor one that has another variable of its own."""
    login = Credential(name="TOKEN", host="api.example.com", header="authorization")
    parts = [("coder", Part(section=NoSection(), forward=("GATEWAY",), credentials=(login,))), ("git", part())]
    said = [("login", "none for coder (`bottle login coder`, or set TOKEN)")]
    assert login_notes(spec({}), parts, SecretSources({"TOKEN": "", "OTHER": "x"}, {})) == said
    stored = {"TOKEN": Login("a file", lambda: "x")}
    for env, sources in (
        ({}, SecretSources({"TOKEN": "x"}, {})),
        ({}, SecretSources({"GATEWAY": "x"}, {})),
        ({"TOKEN": "mine"}, SecretSources({}, {})),
        ({}, SecretSources({}, {}, logins=stored)),
    ):
        assert login_notes(spec(env), parts, sources) == []


def test_the_manifest_s_value_stands_before_an_agent_s() -> None:
    """A variable of the manifest replaces an agent's literal or forwarded one, whichever kind it is itself."""
    parts = [part({"A": "plugin", "B": "plugin"}, forward=("C", "D"))]
    env: dict[str, EnvEntry] = {"A": "mine", "B": Secret(secret="B"), "C": "mine", "D": "${X}"}
    environ = {"C": "host", "D": "host", "X": "interpolated"}
    names = env_names(spec(env), parts, SecretSources(environ, {}, answer))
    assert names == EnvNames((("A", "mine"), ("C", "mine")), ("B", "D"), sources=(("B", "asked for"),))
    secrets = resolve_env(spec(env), names, SecretSources(environ, {}, answer))
    assert dict(secrets) == {"B": "answer to B", "D": "interpolated"}


def test_what_the_proxy_cannot_keep_from_the_agent_ends_the_launch() -> None:
    """S4: an injected value stands in one header, and is long enough to be found; the error has nothing of it."""
    env = {"TOKEN": Secret(secret="Token", inject=Inject(host="api.example.com", header="authorization"))}
    for value in ("short", "with a space in it", "line\nX-Evil: 0123456789", "0123456789abc\x7f", "0123456789äbc"):
        sources = SecretSources({}, {"TOKEN": value})
        with pytest.raises(BottleError, match="the value of TOKEN ") as caught:
            values(env, sources)
        assert value not in f"{caught.value} {caught.value.hint}"


def test_a_credential_that_is_injected_is_not_forwarded_too() -> None:
    """S4: also where an agent plugin names its variable twice; it is where the proxy cannot inject."""
    login = Credential(name="TOKEN", host="api.example.com", header="authorization")
    parts = [Part(section=NoSection(), forward=("TOKEN",), credentials=(login,))]
    injected, seen = (env_names(spec({}), parts, SecretSources({"TOKEN": "x"}, {}), injects=it) for it in (True, False))
    assert (injected.forwarded, [it.name for it in injected.injected]) == ((), ["TOKEN"])
    assert (seen.forwarded, seen.injected) == (("TOKEN",), ())


def test_sources_show_no_value() -> None:
    """S7: what values come from shows neither the host's environment nor the content of a secret's file."""
    sources = SecretSources({"TOKEN": "hunter2"}, {"S": "hunter3"})
    assert "hunter" not in f"{sources!r} {sources} {[sources]}"

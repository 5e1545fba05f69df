"""The other commands, as real processes: help, lists, logs, manifests, failures."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from core_harness import ASK, MANIFEST, PROGRAM, User, wait_until

COMMANDS = (
    "start",
    "exec",
    "attach",
    "list",
    "logs",
    "allow",
    "stop",
    "cleanup",
    "doctor",
    "plugins",
    "init",
    "schema",
    "trust",
    "completions",
)
FILE = ("--file", "bottle.yaml")
DETACH = ("start", "reviewer", "--yes", "--detach", *FILE)


def test_the_version_is_one_line(user: User) -> None:
    """`--version` names the program and its version, alone or beside other options."""
    assert user.run("--version").stdout.split()[0] == "bottle"


def test_help_names_every_command(user: User) -> None:
    """`--help` and `-h` list every command with a sentence, and each command has help of its own."""
    shown = user.run("--help").stdout
    assert [line.split()[0] for line in shown.partition("Commands:\n")[2].splitlines() if line[:3].strip()] != []
    assert all(f"\n  {name} " in shown for name in COMMANDS)
    assert user.run("-h").stdout == shown


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(user: User, name: str) -> None:
    """`bottle COMMAND --help` works for every command, and says how it is called."""
    shown = user.run(name, "--help")
    assert shown.returncode == 0
    assert shown.stdout.startswith(f"Usage: bottle {name} ")


def test_an_unknown_command_suggests_the_nearest(user: User) -> None:
    """A typo is a usage error that names what was probably meant."""
    typo = user.run("strat")
    assert typo.returncode == 2
    assert typo.stderr == "error: there is no command 'strat', did you mean 'start'?\n hint: bottle --help\n"
    wrong = user.run("list", "--bogus")
    assert (wrong.returncode, wrong.stderr) == (2, "error: No such option '--bogus'\n hint: bottle list --help\n")
    assert user.run("start", "--dryrun", "reviewer").returncode == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [(("plugins", "list"), 141), (("schema",), 141), (("completions", "bash"), 141), (("--help",), 1)],
)
def test_a_reader_that_goes_away_is_no_traceback(user: User, words: tuple[str, ...], code: int) -> None:
    """`bottle plugins list | head -0` ends in silence, with the code of SIGPIPE; click writes the help itself."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        done = subprocess.run(
            [*PROGRAM, *words],
            stdout=pipe,
            stderr=subprocess.PIPE,
            cwd=user.project,
            env=user.environment(),
            text=True,
            check=False,
        )
    assert done.stderr == ""
    assert done.returncode == code


def test_a_disk_that_is_full_is_one_error(user: User) -> None:
    """What the system says is told like every failure; `--debug` has its traceback."""
    with Path("/dev/full").open("w") as full:
        done = [
            subprocess.run(
                [*PROGRAM, "schema", *words],
                stdout=full,
                stderr=subprocess.PIPE,
                cwd=user.project,
                env=user.environment(),
                text=True,
                check=False,
            )
            for words in ((), ("--debug",))
        ]
    assert [it.returncode for it in done] == [1, 1]
    assert done[0].stderr == ("error: No space left on device\n hint: run again with --debug for the traceback\n")
    assert "schema_command.py" in done[1].stderr


def test_init_writes_a_manifest_that_works_and_never_overwrites(user: User) -> None:
    """`bottle init` writes one that loads; a file that is there stays as it is."""
    (user.project / "bottle.yaml").unlink()
    assert user.run("init").returncode == 0
    written = (user.project / "bottle.yaml").read_text()
    assert user.run("trust", "--yes").returncode == 0
    again = user.run("init")
    assert (again.returncode, again.stderr.splitlines()[0]) == (1, "error: bottle.yaml is there already")
    assert (user.project / "bottle.yaml").read_text() == written
    assert user.run("init", "--file", "no/such/folder.yaml").returncode == 1


def test_the_schema_is_one_and_has_the_sections_of_what_is_trusted(user: User) -> None:
    """`bottle schema` is JSON Schema 2020-12 with the sections of trusted plugins; a broken one is a warning."""
    shown = user.run("schema")
    schema = json.loads(shown.stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    bottle = schema["$defs"]["BottleSection"]["properties"]
    assert {"egress", "env", "stage", "stageway", "stagehand", "stageprops"} <= set(bottle)
    assert shown.returncode == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_are_for_the_program_s_name(user: User, shell: str) -> None:
    """What a shell sources names the program and its variable."""
    shown = user.run("completions", shell)
    assert shown.returncode == 0
    assert "_BOTTLE_COMPLETE" in shown.stdout


def test_completion_offers_commands(user: User) -> None:
    """The shell's request is answered with commands."""
    env = {"_BOTTLE_COMPLETE": "bash_complete", "COMP_WORDS": "bottle st", "COMP_CWORD": "1"}
    assert set(user.run(env=env).stdout.split()) == {"plain,start", "plain,stop"}


def test_nothing_runs_and_nothing_is_left(user: User) -> None:
    """S32: an empty list is a sentence, in JSON an empty array; unknown bottles are errors."""
    assert user.run("list").stderr == "no bottle runs\n"
    assert json.loads(user.run("list", "--format", "json").stdout) == {"bottles": [], "silent": {}, "version": 1}
    user.run("cleanup", "--yes")  # of what is the whole machine's: root's uids
    assert user.run("cleanup").stderr.splitlines()[-1] == "nothing is left over"
    for words, code in (
        (("exec", "nobody", "--", "true"), 125),
        (("attach", "nobody"), 125),
        (("stop", "nobody"), 1),
        (("allow", "nobody", "x.example"), 1),
        (("logs", "nobody"), 1),
    ):
        missing = user.run(*words)
        assert missing.returncode == code, words
        assert missing.stderr.startswith("error: no ")


def test_a_backend_that_fails_is_a_line_of_the_list(user: User) -> None:
    """S32: one that is down is a line, not a crash, in text and in JSON."""
    env = {"STAGE_FAIL": "list_bottles", "STAGE_HOW": "crash"}
    shown = user.run("list", env=env)
    assert shown.returncode == 0
    assert (
        "warning: stage: backend stage (stage-plugins 1.0) failed: RuntimeError: list_bottles crashed" in shown.stderr
    )
    assert "stage" in json.loads(user.run("list", "--format=json", env=env).stdout)["silent"]


def test_a_running_bottle_is_listed_with_its_launch(user: User) -> None:
    """S32: name, agent, backend, proxy, state and age; in JSON also owner and start."""
    assert user.run(*DETACH).returncode == 0
    [row] = json.loads(user.run("list", "--format", "json").stdout)["bottles"]
    assert user.run("stop", "reviewer").returncode == 0
    wait_until("the end", lambda: not user.left())
    assert (row["name"], row["agent"], row["backend"], row["proxy"], row["state"], row["detached"]) == (
        "claude-bottle-reviewer",
        "reviewer",
        "stage",
        "stageway",
        "running",
        True,
    )
    assert time.time() - row["started"] < 30


def test_a_host_is_opened_and_saved(user: User) -> None:
    """`bottle allow --save`: the proxy is told, the manifest has the line and keeps its comments."""
    user.manifest(MANIFEST.replace("dev:", "dev:  # mine"))
    assert user.run(*DETACH).returncode == 0
    opened = user.run("allow", "reviewer", "New.Example", "--save")
    wrong = user.run("allow", "reviewer", "https://x.example/")
    user.run("stop", "reviewer")
    wait_until("the end", lambda: not user.left())
    assert opened.returncode == 0, opened.stderr
    assert opened.stderr.startswith(
        "claude-bottle-reviewer may reach new.example\nwritten to bottles.dev.egress.allowlist"
    )
    assert "rule new.example block block 80,443 bottle allow" in user.journal
    text = (user.project / "bottle.yaml").read_text()
    assert "dev:  # mine" in text
    assert "new.example" in user.run("start", "reviewer", "--dry-run").stdout
    assert wrong.returncode == 1
    assert "error: " in wrong.stderr


def evidence(user: User, bottle: str, *lines: str, stamp: int = 1_800_000_000) -> Path:
    """Lay a record of events."""
    folder = user.state / "events"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{stamp}-{bottle}-0123abcd.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


DENIED = json.dumps(
    {
        "time": 1800000000.5,
        "verdict": "deny",
        "host": "x.example",
        "port": 8443,
        "method": "CONNECT",
        "status": 403,
        "reason": "no",
    }
)
ALLOWED = (
    '{"time":1800000001.5,"verdict":"allow","host":"y.example","port":443,"method":"GET","path":"/a","status":200}'
)


def test_logs_show_each_decision(user: User) -> None:
    """Time, verdict, request, status and reason, one line each; no colours in a pipe; a cut-off line is left out."""
    evidence(user, "claude-bottle-reviewer", DENIED, ALLOWED, '{"time":')
    shown = user.run("logs", "reviewer", env={"TZ": "UTC"})
    assert shown.stdout.splitlines() == [
        "08:00:00  deny   CONNECT x.example:8443 403  no",
        "08:00:01  allow  GET y.example/a 200",
    ]
    assert user.run("logs", "claude-bottle-reviewer", env={"TZ": "UTC"}).stdout == shown.stdout
    assert user.run("logs", env={"TZ": "UTC"}).stdout == shown.stdout


def test_logs_in_json_are_the_record_itself(user: User) -> None:
    """`--format json`: one object a line, for `jq`; a line that a crash cut off is left out."""
    evidence(user, "claude-bottle-reviewer", DENIED, ALLOWED, '{"time":')
    lines = user.run("logs", "reviewer", "--format", "json").stdout.splitlines()
    assert [json.loads(line)["host"] for line in lines] == ["x.example", "y.example"]


def test_logs_of_a_request_cannot_steer_the_terminal(user: User) -> None:
    """N12: what an agent puts into a path or host comes to the terminal as escapes."""
    event = {"time": 1.0, "verdict": "deny", "host": "x.example", "path": "/\x1b]0;owned\x07\n", "reason": "\x9b31m"}
    evidence(user, "claude-bottle-reviewer", json.dumps(event))
    shown = user.run("logs", "reviewer").stdout
    assert shown.count("\n") == 1
    assert shown.rstrip("\n").isprintable()


def test_logs_follow_until_the_bottle_ends(user: User) -> None:
    """`logs -f` shows events as they come, and ends with the bottle."""
    assert user.run(*DETACH).returncode == 0
    follow = user.begin("logs", "reviewer", "-f", "--format", "json")
    time.sleep(0.5)
    assert follow.poll() is None
    user.run("exec", "reviewer", "--", sys.executable, "-c", ASK, "z.example")
    assert follow.stdout is not None
    assert json.loads(follow.stdout.readline())["host"] == "z.example"
    user.run("stop", "reviewer")
    assert follow.wait(timeout=20) == 0
    wait_until("the end", lambda: not user.left())


def test_logs_of_an_ended_bottle_do_not_wait(user: User) -> None:
    """`logs -f` of a bottle that is gone shows what there is and ends."""
    evidence(user, "claude-bottle-reviewer", DENIED)
    assert user.run("logs", "reviewer", "-f", "--format", "json").stdout.count("\n") == 1


def test_cleanup_lists_without_removing(user: User) -> None:
    """S30: `--dry-run` lists, and without a terminal nothing is removed unless `--yes` says so."""
    user.run("cleanup", "--yes")  # as above
    folder = user.leave("leftover-1")
    dry = user.run("cleanup", "--dry-run")
    assert (dry.returncode, dry.stdout) == (0, f"stage: folder {folder}\n")
    assert user.run("cleanup").returncode == 1
    assert user.left() == ["leftover-1"]
    failed = user.run("cleanup", "--yes", env={"STAGE_FAIL": "cleanup"})
    assert (failed.returncode, failed.stderr) == (1, "error: stage: cleanup refused\n")
    assert user.run("cleanup", "--yes").returncode == 0
    assert user.left() == []


def test_a_bad_configuration_is_a_sentence_with_its_line(user: User) -> None:
    """`config.yaml` is read with the care of a manifest."""
    (user.config / "config.yaml").write_text("blocked: [x]\n")
    shown = user.run("plugins", "list")
    assert shown.returncode == 1
    assert shown.stderr == f"error: {user.config}/config.yaml:1: blocked: unknown key (did you mean block?)\n"


def test_trust_without_a_terminal_needs_a_yes(user: User) -> None:
    """F9: nothing is approved that nobody looked at."""
    refused = user.run("trust")
    assert refused.returncode == 1
    assert "error: there is no terminal to ask on\n" in refused.stderr
    assert user.run("start", "reviewer", "--yes").returncode == 125


def test_a_launch_without_requests_says_so(user: User) -> None:
    """An empty record is a sentence, and in JSON no line at all."""
    assert user.run("start", "reviewer", "--yes", "--file", "bottle.yaml", "--", "true").returncode == 0
    shown = user.run("logs", "reviewer")
    assert (shown.returncode, shown.stdout) == (0, "")
    assert shown.stderr == "its proxy has decided nothing: no program inside has asked for a way out\n"
    assert user.run("logs", "reviewer", "--format", "json").stdout == ""

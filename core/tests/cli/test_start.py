"""`bottle start` without a terminal: dry runs, approval, problems, exit codes."""

import hashlib
import json
import sys
from pathlib import Path

import pytest
from core_harness import ASK, MANIFEST, User

FILE = ("--file", "bottle.yaml")


def test_a_dry_run_shows_the_plan_and_does_nothing(user: User) -> None:
    """S1, S16, S33: the preflight on stdout, what was not checked on stderr, exit 0, and nothing is made."""
    text = user.run("start", "reviewer", "--dry-run")
    assert text.returncode == 0
    assert "tls intercept : stageway (per-bottle ephemeral CA, generated at launch)\n" in text.stdout
    assert text.stderr == "not checked: stage on this machine\nnot checked: stageway on this machine\n"
    assert set(user.journal) == {"resolve proxy"}
    assert not user.state.exists()
    assert not user.runtime.exists()


def test_a_dry_run_in_json_is_json_alone(user: User) -> None:
    """S16: stdout is the documented object and nothing else."""
    shown = user.run("start", "reviewer", "--dry-run", "--format=json")
    plan = json.loads(shown.stdout)
    assert shown.returncode == 0
    assert list(plan)[:15] == [
        "version",
        "agent",
        "bottle",
        "slug",
        "runtime",
        "backend",
        "proxy",
        "egress",
        "env",
        "skills",
        "ssh",
        "workspace",
        "prompt",
        "resources",
        "sections",
    ]
    assert plan["egress"]["tls_interception"] == {"enabled": True, "ca_fingerprint": None}
    assert plan["egress"]["hosts"] == ["agent.example", "api.example.com"]


@pytest.mark.parametrize("state", ["absent", "broken", "mute"])
def test_a_dry_run_needs_no_engine(user: User, state: str) -> None:
    """S16: neither exit code nor JSON of a dry run depends on what this machine has."""
    ready = user.run("start", "reviewer", "--dry-run", "--format=json")
    there = user.run("start", "reviewer", "--dry-run", "--format=json", env={"STAGE_PROBE": state})
    assert (there.returncode, there.stdout) == (0, ready.stdout)


def test_without_a_manifest_an_agent_plugin_starts_by_its_name(user: User) -> None:
    """In a bottle of its own defaults, said so, that nobody has to approve; nothing is written."""
    (user.project / "bottle.yaml").unlink()
    words = ("start", "stagehand", "--backend", "stage", "--proxy", "stageway")
    shown = user.run(*words, "--dry-run", "--format=json")
    assert json.loads(shown.stdout)["egress"]["hosts"] == ["agent.example"]
    done = user.run(*words, "--yes")
    assert done.returncode == 0, done.stderr
    assert "manifest      : none here: nothing but the agent's own hosts can be reached" in done.stderr
    assert not (user.state / "approved.json").exists()
    unknown = user.run("start", "reviewer", "--dry-run")
    assert (unknown.returncode, "no bottle.yaml here, above, or in " in unknown.stderr) == (1, True)


def test_a_manifest_that_is_named_must_be_there(user: User) -> None:
    """No other one takes its place, also where the agent is a plugin's name."""
    refused = user.run("start", "stagehand", "--file", "other.yaml", "--dry-run")
    assert (refused.returncode, "--file: there is no file" in refused.stderr) == (1, True)


def test_json_without_a_dry_run_is_a_usage_error(user: User) -> None:
    """S16: `--format=json` goes with `--dry-run` alone: exit 2."""
    refused = user.run("start", "reviewer", "--yes", *FILE, "--format=json")
    assert refused.returncode == 2
    assert refused.stderr == "error: --format=json goes with --dry-run\n hint: add --dry-run\n"
    assert user.journal == []


def test_without_a_terminal_yes_is_needed(user: User) -> None:
    """Nobody can be asked, so nothing starts: exit 125, and it says what to do."""
    refused = user.run("start", "reviewer", *FILE, stdin="y\n")
    assert refused.returncode == 125
    assert refused.stderr.startswith("error: there is no terminal to ask on\n hint: add --yes")
    assert "open_site" not in user.journal


def test_all_problems_are_shown_at_once(user: User) -> None:
    """S6, S16: manifest, plugins, environment, secrets and the plugins' own checks in one go; a dry run exits 1."""
    user.manifest(
        MANIFEST.replace("LOG_LEVEL: debug", "A: ${UNSET_ONE}\n      S: {secret: Token}")
        .replace("stageprops:", "stageprobs:")
        .replace("    skills", "")
        .replace("prompt:", "skils: [a]\n    prompt:")
    )
    (user.project / "binary").write_bytes(b"\xff")
    files = ("--secret-file", "X=/nowhere", "--secret-file", "Y=/dev/null", "--secret-file", "Z=binary")
    shown = user.run("start", "reviewer", "--dry-run", *files, env={"STAGE_PROBLEMS": "2"})
    assert shown.returncode == 1
    assert shown.stdout == ""
    errors = [line for line in shown.stderr.splitlines() if line.startswith("error: ")]
    assert errors == [
        "error: bottle.yaml:11: bottles.dev.stageprobs: unknown key (did you mean stageprops?)",
        "error: bottle.yaml:16: agents.reviewer.skils: unknown key (did you mean skills?)",
        "error: --secret-file X: /nowhere cannot be read: No such file or directory",
        "error: --secret-file Y: /dev/null is empty",
        "error: --secret-file Z: binary cannot be read: not UTF-8",
        "error: bottle.yaml:9: bottles.dev.env.A: A needs the host's variable UNSET_ONE, which is not set",
        "error: bottle.yaml:10: bottles.dev.env.S: the secret S cannot be asked for without a terminal",
        "error: --secret-file X: the manifest has no secret of this name",
        "error: --secret-file Y: the manifest has no secret of this name",
        "error: --secret-file Z: the manifest has no secret of this name",
        "error: problem 0 of the agent",
        "error: problem 1 of the agent",
    ]


def test_a_proxy_that_cannot_inject_is_a_problem(user: User) -> None:
    """S4: what is to be kept from the agent is never handed to it in silence; the key and both ways out are named."""
    inject = "{secret: Token, inject: {host: api.example.com, header: X-Key}}"
    user.manifest(MANIFEST.replace("LOG_LEVEL: debug", f"S: {inject}"))
    (user.project / "token").write_text("a token of some length")
    shown = user.run("start", "reviewer", "--dry-run", "--secret-file", "S=token")
    what = "bottles.dev.env.S.inject: S is to be injected, which the proxy stageway cannot do"
    assert (shown.returncode, f"error: bottle.yaml:9: {what}" in shown.stderr) == (1, True), shown.stderr
    assert "choose a proxy that can, or remove inject" in shown.stderr


def test_a_missing_plugin_hides_no_other_problem(user: User) -> None:
    """What cannot be chosen is one problem beside the others."""
    user.manifest(MANIFEST.replace("backend: stage\n", "backend: stge\n").replace("debug", "${UNSET_ONE}"))
    shown = user.run("start", "reviewer", "--dry-run")
    assert shown.returncode == 1
    wrong = "bottle.yaml:4: bottles.dev.backend: backend stge is not installed (chosen by: manifest)"
    assert f"error: {wrong}\n hint: did you mean stage?\n" in shown.stderr
    assert "UNSET_ONE" in shown.stderr


def test_a_section_that_cannot_be_read_hides_no_other_problem(user: User) -> None:
    """Every other plugin still checks its own, and this machine."""
    user.manifest(MANIFEST.replace("stageprops:", "stageprops: {nonsense: 1}"))
    env = {"STAGE_PROBLEMS": "1", "STAGE_PROBE": "broken"}
    shown = user.run("start", "reviewer", "--yes", *FILE, env=env)
    assert [line for line in shown.stderr.splitlines() if line.startswith("error: ")] == [
        "error: bottle.yaml:10: bottles.dev.stageprops.nonsense: unknown key",
        "error: problem 0 of the agent",
        "error: backend stage: stage floor: has a hole",
    ]


def test_a_missing_bottle_hides_no_other_problem(user: User) -> None:
    """What would run it is unknown then; the agent's plugin, the command line and the user's configuration are not."""
    user.manifest(MANIFEST.replace("bottle: dev", "bottle: dve").replace("agent: stagehand", "agent: stagehnd"))
    config = user.config / "config.yaml"
    config.write_text(config.read_text() + "upstream: {ca: [none.pem]}\n")
    shown = user.run("start", "reviewer", "--dry-run", "--secret-file", "X=/nowhere")
    assert [line for line in shown.stderr.splitlines() if line.startswith("error: ")] == [
        'error: bottle.yaml:13: agents.reviewer.bottle: there is no bottle "dve" (did you mean dev?)',
        "error: --secret-file X: /nowhere cannot be read: No such file or directory",
        f"error: config.yaml: upstream.ca: there is no file {user.config / 'none.pem'}",
        "error: bottle.yaml:14: agents.reviewer.agent: agent stagehnd is not installed (chosen by: manifest)",
    ]


def test_a_launch_that_must_fail_is_not_asked_about(user: User) -> None:
    """S6: with problems nobody is asked, and the exit code is 125."""
    refused = user.run("start", "reviewer", "--yes", *FILE, env={"STAGE_PROBLEMS": "1"})
    assert (refused.returncode, refused.stderr) == (125, "error: problem 0 of the agent\n")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("broken", "error: backend stage: stage floor: has a hole\n hint: mend it\n"),
        ("mute", "error: backend stage is broken on this machine\n hint: bottle doctor\n"),
        ("absent", "error: backend stage is absent on this machine\n hint: bottle doctor\n"),
    ],
)
def test_a_machine_that_cannot_run_it_stops_the_launch(user: User, state: str, message: str) -> None:
    """S6: what a backend misses here is a problem, also when it does not say what it is."""
    refused = user.run("start", "reviewer", "--yes", *FILE, env={"STAGE_PROBE": state})
    assert (refused.returncode, refused.stderr) == (125, message)


@pytest.mark.parametrize("code", [0, 1, 2, 42, 125, 255])
def test_the_exit_code_is_the_command_s(user: User, code: int) -> None:
    """Exit codes pass through unchanged."""
    assert user.run("start", "reviewer", "--yes", *FILE, "--", "sh", "-c", f"exit {code}").returncode == code


def test_a_command_that_a_signal_ends_is_128_and_the_signal(user: User) -> None:
    """128 + n, as a shell has it."""
    assert user.run("start", "reviewer", "--yes", *FILE, "--", "sh", "-c", "kill -9 $$").returncode == 137


def test_words_after_the_dashes_go_to_the_agent_or_replace_it(user: User) -> None:
    """Words that begin with - are the agent's, also `--dry-run` and `--help`; the prompt's file follows them."""
    own = user.run("start", "reviewer", "--yes", *FILE, "--", "--dry-run", "-x y", "--help")
    assert own.stdout == "agent runs with 5: --dry-run -x y --help --prompt-file /prompt.md\n"
    instead = user.run("start", "reviewer", "--yes", *FILE, "--", "printf", "%s|", "a b", "--yes")
    assert instead.stdout == "a b|--yes|"


def test_why_the_agent_ended_so_is_said_last(user: User) -> None:
    """In one line, whatever it quotes; not where another command ran, nor where the bottle cannot be asked any more."""
    words = ("start", "reviewer", "--yes", *FILE)
    told = user.run(*words, "--", "-x", env={"STAGE_CAUSE": "a\x1b[2Jb\nerror: c"})
    assert told.returncode == 0
    assert told.stderr.splitlines()[-1] == r"stagehand: 0 after 0 events: a\x1b[2Jb\nerror: c; a cure"
    assert "stagehand: " not in user.run(*words, "--", "true", env={"STAGE_CAUSE": "any"}).stderr
    gone = user.run(*words, "--", "-x", env={"STAGE_CAUSE": "none can be told"})
    assert (gone.returncode, "the bottle is gone" in gone.stderr) == (0, False)


def test_stdin_and_stdout_pass_byte_for_byte(user: User) -> None:
    """Without a terminal three pipes carry everything, and stdout holds the command's words alone."""
    passed = user.run("start", "reviewer", "--yes", *FILE, "--", "cat", stdin="\x00\x1b[31m\r\nlast")
    assert passed.stdout == "\x00\x1b[31m\r\nlast".replace("\r\n", "\n")
    assert passed.returncode == 0


def test_yes_accepts_only_what_was_named_approved_or_is_the_user_s_own(user: User) -> None:
    """F9: `--yes` takes a found manifest only once it is approved, and a change asks again."""
    refused = user.run("start", "reviewer", "--yes")
    assert refused.returncode == 125
    assert "error: --yes does not accept bottle.yaml, which is new\n" in refused.stderr
    assert "hint: look at it, then bottle trust bottle.yaml, or name it with --file" in refused.stderr
    assert "open_site" not in user.journal
    assert user.run("trust", "--yes").returncode == 0
    assert user.run("start", "reviewer", "--yes").returncode == 0
    user.manifest(MANIFEST + "# changed\n")
    changed = user.run("start", "reviewer", "--yes")
    assert changed.returncode == 125
    assert "bottle.yaml is changed: nobody here has approved it as it stands" in changed.stderr


def test_the_variable_does_not_vouch_for_a_manifest(user: User) -> None:
    """F9: a manifest that `CLAUDE_BOTTLE_FILE` names must have been approved; the user's own need not."""
    assert user.run("start", "reviewer", "--yes", env={"CLAUDE_BOTTLE_FILE": "bottle.yaml"}).returncode == 125
    (user.project / "bottle.yaml").rename(user.config / "bottle.yaml")
    assert user.run("start", "reviewer", "--yes").returncode == 0


def test_a_new_manifest_shows_what_it_takes_and_loosens(user: User) -> None:
    """F9: host paths, variables, secrets, loosened defaults and plugins are shown before anything starts."""
    user.manifest(
        MANIFEST.replace("LOG_LEVEL: debug", 'A: "${HOME}"\n      S: {secret: Token}').replace(
            "    env:", "      dlp_action: warn\n    env:"
        )
    )
    shown = user.run("start", "reviewer", "--yes", *FILE, "--secret-file", "S=bottle.yaml").stderr
    for line in (
        "  reads the variable bottles.dev.env.A: HOME\n",
        "  asks for bottles.dev.env.S: Token\n",
        "  loosens bottles.dev.egress.dlp_action: warn\n",
        "  picks bottles.dev.backend: stage\n",
    ):
        assert line in shown
    assert str(user.home) not in shown.partition("nobody here")[2].partition("tls intercept")[0]


def test_secrets_reach_the_bottle_and_are_shown_nowhere(user: User, tmp_path: Path) -> None:
    """S7: a secret of a file is inside, and in no output, plan, record or file that stays."""
    user.manifest(MANIFEST.replace("LOG_LEVEL: debug", 'S: {secret: Token}\n      I: "${PART}x"'))
    (tmp_path / "secret").write_text("hunter2-from-a-file\n")
    words = ("start", "reviewer", "--yes", *FILE, "--secret-file", f"S={tmp_path / 'secret'}", "--debug")
    ran = user.run(*words, "--", "sh", "-c", 'printf %s "$S$I" | sha256sum', env={"PART": "hunter2-part"})
    assert ran.stdout.split()[0] == hashlib.sha256(b"hunter2-from-a-filehunter2-partx").hexdigest(), ran.stderr
    shown = ran.stdout + ran.stderr + user.run("start", "reviewer", "--dry-run", "--format=json").stdout
    kept = "".join(path.read_text() for path in user.state.rglob("*") if path.is_file())
    assert "hunter2" not in shown + kept


def test_a_secret_file_is_written_as_name_and_path(user: User) -> None:
    """A word without `=` is a usage error, a name that the manifest lacks a problem."""
    assert user.run("start", "reviewer", "--dry-run", "--secret-file", "S").returncode == 2
    stray = user.run("start", "reviewer", "--dry-run", "--secret-file", "S=bottle.yaml")
    assert "error: --secret-file S: the manifest has no secret of this name\n" in stray.stderr


@pytest.mark.parametrize("step", ["open_site", "ready", "look", "provision", "attach"])
@pytest.mark.parametrize("how", ["refuse", "crash", "system"])
def test_our_own_failure_is_125_and_a_sentence(user: User, step: str, how: str) -> None:
    """A failure of ours is 125 with `error:` and never a traceback, and everything is removed."""
    failed = user.run("start", "reviewer", "--yes", *FILE, env={"STAGE_FAIL": step, "STAGE_HOW": how})
    assert failed.returncode == 125
    assert "\nerror: " in failed.stderr
    assert "Traceback" not in failed.stderr
    assert user.left() == []


def test_debug_adds_the_traceback_and_keeps_the_code(user: User) -> None:
    """`--debug` shows where a failure came from; exit code and message stay."""
    env = {"STAGE_FAIL": "look", "STAGE_HOW": "crash"}
    failed = user.run("start", "reviewer", "--yes", *FILE, "--debug", env=env)
    assert failed.returncode == 125
    assert "Traceback" in failed.stderr
    assert "RuntimeError: look crashed" in failed.stderr
    assert "\nerror: backend stage (stage-plugins 1.0) failed: RuntimeError: look crashed\n" in failed.stderr
    dry = user.run("start", "nobody", "--dry-run", "--debug")
    assert dry.returncode == 1
    assert "Traceback" in dry.stderr


def test_refusals_are_summed_up_at_the_end(user: User) -> None:
    """What was refused, how often, and what would allow it; core's own probe is not in it."""
    ended = user.run("start", "reviewer", "--yes", *FILE, "--", sys.executable, "-c", ASK, "x.example", "x.example")
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.endswith(
        "refused by the proxy:\n  x.example: host x.example is not allowed (2 times)\n"
        "    egress.allowlist: [x.example]\n"
    )


def test_timings_are_told_when_asked_for(user: User) -> None:
    """`--timings` names each phase and their sum."""
    said = user.run("start", "reviewer", "--yes", *FILE, "--timings").stderr
    names = [line.rsplit(None, 2)[0].strip() for line in said.splitlines() if line.endswith(" ms")]
    up = ["site", "proxy", "images", "bottle", "proxy ready", "provision", "proof", "provision"]
    assert names == [*up, "removing", "sum"]


def test_the_warm_process_is_handed_over_and_gone_at_the_end(user: User) -> None:
    """A process that `warm_up` began dies with the launch, is never begun at a dry run, and not when yes is refused."""
    assert user.run("start", "reviewer", "--yes", *FILE, env={"STAGE_WARM": "1"}).returncode == 0
    assert len(user.pids()) == 2
    assert user.left() == []
    user.run("start", "reviewer", "--dry-run", env={"STAGE_WARM": "1"})
    assert len(user.pids()) == 2
    assert user.run("start", "reviewer", "--yes", env={"STAGE_WARM": "1"}).returncode == 125
    assert user.left() == []


def test_a_failure_ends_the_warm_process(user: User) -> None:
    """Also when the site is never opened, the warm process is ended."""
    user.run("start", "reviewer", "--yes", *FILE, env={"STAGE_WARM": "1", "STAGE_FAIL": "open_site"})
    assert len(user.pids()) == 1
    assert user.left() == []


def test_an_unknown_agent_suggests_the_nearest(user: User) -> None:
    """S6: a missing agent stops before anything, with the nearest name or all names."""
    typo = user.run("start", "reviewr", "--dry-run")
    assert typo.stderr == "error: there is no agent reviewr in bottle.yaml\n hint: did you mean reviewer?\n"
    other = user.run("start", "zzz", "--dry-run")
    assert other.stderr == "error: there is no agent zzz in bottle.yaml\n hint: agents in it: reviewer\n"


def test_the_backend_of_the_environment_is_chosen(user: User) -> None:
    """S31: the variable goes before the manifest, the flag before both, and the preflight says which."""
    env = {"CLAUDE_BOTTLE_BACKEND": "stage", "CLAUDE_BOTTLE_PROXY": "stageway"}
    shown = user.run("start", "reviewer", "--dry-run", env=env).stdout
    assert "backend       : stage (CLAUDE_BOTTLE_BACKEND)\n" in shown
    assert "proxy         : stageway (CLAUDE_BOTTLE_PROXY)\n" in shown
    flags = user.run("start", "reviewer", "--dry-run", "--backend", "stage", "--proxy", "stageway", env=env).stdout
    assert "backend       : stage (flag)\n" in flags


def test_state_that_cannot_be_written_is_a_sentence(user: User) -> None:
    """A file where our folder should be is told, and nothing is left."""
    user.state.parent.mkdir()
    user.state.write_text("")
    failed = user.run("start", "reviewer", "--yes", *FILE)
    assert failed.returncode == 125
    assert "Traceback" not in failed.stderr
    assert "\nerror: " in failed.stderr
    assert user.left() == []

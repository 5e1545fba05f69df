"""The kit itself: of plugins that are wrong on purpose, each contract notices what is wrong."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MODULE = """
from claude_bottle.testing import AgentContract, BackendContract, ProvisionerContract, ProxyContract

class TestWrong({contract}):
    name, target = "wrong", "wrong_plugins:{attribute}"
"""

NOTICED = {
    "Agent": {
        "test_its_import_is_light",
        "test_its_import_makes_nothing",
        "test_its_section_is_frozen_and_strict",
        "test_its_answer_is_the_same_each_time",
        "test_planning_has_no_effect",
        "test_no_value_of_the_environment_is_in_the_plan",
        "test_it_names_a_program",
        "test_the_prompt_is_a_file",
    },
    "Provisioner": {
        "test_its_steps_may_be_repeated",
        "test_what_comes_out_is_said",
        "test_a_bottle_that_is_gone_is_an_error_of_ours",
    },
    "Backend": {
        "test_a_bottle_is_found_from_anywhere",
        "test_several_of_one_agent_run_at_once",
        "test_a_failure_at_every_call_leaves_nothing",
        "test_what_cannot_be_read_is_an_error" if os.geteuid() else "test_the_agent_is_nobody_in_particular",
        "test_a_place_that_cannot_be_written_is_an_error",
        "test_the_environment_is_the_same_from_every_terminal",
        "test_the_host_cannot_be_dialled",
        "test_no_name_resolves",
        "test_nothing_of_our_environment_is_inside",
        "test_nothing_of_our_home_is_inside",
        "test_a_forwarded_value_is_in_no_file_of_ours",
        "test_the_kernel_is_filtered_or_its_own",
    },
    "Machine": {"test_the_kernel_is_filtered_or_its_own"},
    "Proxy": {
        "test_the_rules_are_those_that_were_asked_for",
        "test_it_serves_with_an_authority_of_its_own",
        "test_an_allowed_host_is_reached",
        "test_another_host_is_refused_and_said",
        "test_this_machine_and_the_cloud_s_metadata_are_refused",
        "test_the_upstream_s_own_address_is_refused",
        "test_a_credential_does_not_leave",
        "test_a_credential_leaves_under_warn_and_is_on_record",
        "test_other_rules_hold_at_once",
        "test_the_agent_holds_a_placeholder",
        "test_its_place_gets_the_credential_and_no_answer_gives_it_back",
        "test_it_goes_nowhere_else",
    },
}
"""What each wrong plugin does not hold; further tests of its contract may fail with them."""


CONTRACTS = {"Machine": "Backend"}
"""Whose contract a second wrong plugin of a kind is held to."""


@pytest.mark.parametrize("kind", NOTICED)
def test_a_wrong_plugin_is_noticed(kind: str, tmp_path: Path) -> None:
    """Each of these tests fails for it, by name; none of them is an error of the kit's own."""
    if kind == "Proxy" and shutil.which("curl") is None:
        pytest.skip("needs curl on this machine")
    (tmp_path / "test_wrong.py").write_text(
        MODULE.format(contract=f"{CONTRACTS.get(kind, kind)}Contract", attribute=kind.upper())
    )
    shutil.copy(HERE / "wrong_plugins.py", tmp_path)
    names = " or ".join(sorted(NOTICED[kind]))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-rfE",
            "--tb=line",
            "-k",
            names,
            "test_wrong.py",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    failed = set(re.findall(r"^FAILED \S+::(\w+)", done.stdout, re.MULTILINE))
    assert NOTICED[kind] - failed == set(), done.stdout[-4000:]

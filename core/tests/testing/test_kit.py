"""The kit itself: of plugins that are wrong on purpose, each contract notices what is wrong."""

import os
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from claude_bottle import testing
from claude_bottle.testing.local import TARGET
from claude_bottle.testing.passage import PASSAGE

HERE = Path(__file__).parent
MODULE = """
from claude_bottle.testing import {contract} as Contract

class TestWrong(Contract):
    name, target = "wrong", "{target}"
    lacks = {{"dialled": "it cannot"}}
"""


class Wrong(NamedTuple):
    """A plugin that is wrong on purpose: where it is, and the tests of its contract that notice it, by name."""

    contract: str
    target: str
    noticed_by: str


BINDS = (
    """
    a_bound_folder_is_the_same_on_both_sides what_is_read_only_stays_as_it_is its_process_ends_last
    nothing_else_of_this_machine_is_seen
    """
    if os.getuid()
    else ""
)
"""Root binds nothing: these are noticed by a plain user alone."""

WRONG = {
    "a backend that is no wall": Wrong(
        "BackendContract",
        "wrong_backends:WALL",
        """
        it_begins_in_its_workspace
        the_environment_is_the_same_from_every_terminal
        a_failure_at_every_call_leaves_nothing
        the_host_cannot_be_dialled no_name_resolves
        nothing_of_our_environment_is_inside nothing_of_our_home_is_inside
        a_forwarded_value_is_in_no_argument a_forwarded_value_is_in_no_file_of_ours
        the_kernel_is_filtered_or_its_own
        """,
    ),
    "a machine that is none": Wrong("BackendContract", "wrong_backends:MACHINE", "the_kernel_is_filtered_or_its_own"),
    "a backend that does nothing": Wrong(
        "BackendContract",
        "wrong_backends:IDLE",
        """
        what_it_lacks_may_be_lacking
        a_bottle_is_found_from_anywhere several_of_one_agent_run_at_once one_that_lives_is_no_leftover
        what_runs_in_it_ends_with_it
        streams_and_exit_code_are_separate_bytes commands_of_a_script_do_not_eat_it
        a_script_may_be_of_any_size arguments_and_stdin_arrive_as_they_are fifty_megabytes_pass_both_ways
        stdin_that_nobody_reads_is_no_obstacle a_failing_source_of_stdin_ends_the_command
        exit_codes_are_those_of_a_shell a_command_and_a_script_are_not_both_meant no_signal_is_ignored
        a_call_may_add_variables a_timeout_kills_all_that_was_started
        a_background_process_outlives_its_command orphans_are_reaped
        what_is_put_is_what_is_got a_single_file_has_its_own_name what_is_there_is_replaced_and_the_rest_stays
        a_link_in_the_way_is_replaced_never_followed links_are_got_as_links
        what_is_neither_file_folder_nor_link_is_passed_over what_is_not_there_is_not_found
        what_cannot_be_read_is_an_error a_path_that_is_not_absolute_and_plain_is_refused
        a_place_that_cannot_be_written_is_an_error a_failing_source_of_entries_is_the_callers_error
        a_tree_that_is_not_read_to_its_end_leaves_nothing
        a_command_has_a_terminal_of_its_own the_size_follows_the_window
        control_c_interrupts_the_command_and_not_us job_control_works full_screen_programs_work
        a_long_paste_and_a_long_output_pass_at_once the_terminal_is_restored
        the_terminal_is_restored_when_we_are_killed the_command_ends_with_its_terminal
        a_command_that_closes_its_terminal_is_awaited without_a_terminal_there_are_three_pipes
        our_own_files_never_enter
        look_sees_what_is_there the_agent_is_nobody_in_particular
        the_authority_is_trusted_and_its_key_is_not_inside
        who_connects_inside_is_answered_outside a_second_socket_takes_the_place_of_the_first
        a_socket_that_cannot_be_is_an_error a_socket_ends_with_its_bottle another_terminal_serves_no_socket
        the_proxy_is_the_way_out a_teardown_comes_twice
        """
        + BINDS,
    ),
    "a backend that forgets": Wrong(
        "BackendContract",
        "wrong_backends:CARELESS",
        """
        a_script_never_crosses_argv input_that_follows_is_left_alone
        what_is_for_its_stdin_is_there
        a_sidecar_is_looked_into a_file_is_replaced_while_it_runs the_end_of_the_proxy_is_the_end_of_the_way
        a_site_that_nothing_ran_on_is_closed
        """,
    ),
    "the kit's own backend": Wrong("BackendContract", TARGET, "it_confines"),
    "the kit's own proxy": Wrong("ProxyContract", PASSAGE, "it_confines"),
    "a proxy that is open": Wrong(
        "ProxyContract",
        "wrong_plugins:PROXY",
        """
        what_it_lacks_may_be_lacking the_rules_are_those_that_were_asked_for
        it_serves_with_an_authority_of_its_own an_allowed_host_is_reached another_host_is_refused_and_said
        this_machine_and_the_cloud_s_metadata_are_refused the_upstream_s_own_address_is_refused
        a_credential_does_not_leave a_credential_leaves_under_warn_and_is_on_record other_rules_hold_at_once
        a_secret_of_the_bottle_is_in_no_argument its_death_is_told_and_lets_nobody_out
        a_site_that_cannot_run_it_leaves_nothing a_stop_comes_twice_and_nothing_is_let_out_after_it
        the_agent_holds_a_placeholder its_place_gets_the_credential_and_no_answer_gives_it_back it_goes_nowhere_else
        """,
    ),
    "a provisioner that adds": Wrong(
        "ProvisionerContract",
        "wrong_plugins:PROVISIONER",
        """
        its_steps_run_on_any_bottle its_steps_may_be_repeated what_comes_out_is_said
        a_bottle_that_is_gone_is_an_error_of_ours
        """,
    ),
    "an agent that has effects": Wrong(
        "AgentContract",
        "wrong_plugins:AGENT",
        """
        its_import_is_light its_import_makes_nothing its_section_is_frozen_and_strict
        its_answer_is_the_same_each_time planning_has_no_effect no_value_of_the_environment_is_in_the_plan
        it_names_a_program the_prompt_is_a_file
        """,
    ),
    "an agent that takes no prompt": Wrong(
        "AgentContract",
        "wrong_plugins:MUTE",
        "it_implements_what_its_kind_must its_part_survives_json words_follow_its_own",
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_plugin_is_noticed(wrong: Wrong, tmp_path: Path) -> None:
    """Each of these tests fails for it, by name; none of them is an error of the kit's own."""
    if wrong.contract == "ProxyContract" and shutil.which("curl") is None:
        pytest.skip("needs curl on this machine")
    (tmp_path / "test_wrong.py").write_text(MODULE.format(contract=wrong.contract, target=wrong.target))
    for module in HERE.glob("wrong_*.py"):
        shutil.copy(module, tmp_path)
    names = {f"test_{name}" for name in wrong.noticed_by.split()}
    options = ("-q", "-p", "no:cacheprovider", "-rfE", "--tb=line", "-k", " or ".join(sorted(names)))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_wrong.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    failed = set(re.findall(r"^FAILED \S+::(\w+)", done.stdout, re.MULTILINE))
    assert names - failed == set(), done.stdout[-4000:]


def contracts() -> Iterator[type]:
    """Yield each contract that the kit has, those too of which others are made."""
    for module in pkgutil.iter_modules(testing.__path__, f"{testing.__name__}."):
        for name, found in vars(import_module(module.name)).items():
            if name.endswith("Contract") and found.__module__ == module.name:
                yield found


@pytest.mark.parametrize("contract", list(contracts()), ids=lambda contract: contract.__name__)
def test_each_test_of_a_contract_can_fail(contract: type) -> None:
    """Some wrong plugin is noticed by it: a promise that nobody is caught breaking is none."""
    promises = {name for name in vars(contract) if name.startswith("test_")}
    noticed = {f"test_{name}" for wrong in WRONG.values() for name in wrong.noticed_by.split()}
    assert promises
    if contract.__name__ == "BindContract" and os.getuid() == 0:
        pytest.skip("root binds nothing: run the tests as a plain user too")
    assert promises - noticed == set()

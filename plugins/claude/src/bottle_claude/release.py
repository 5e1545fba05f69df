"""Which Claude Code is put into a bottle: the release that was tested, with the integrity of its archives."""

from claude_bottle.seam.part import Package, Program

__all__ = ["VERSION", "program"]

NAME = "claude"
SOURCE = "@anthropic-ai/claude-code"
VERSION = "2.1.332"
SIZE = 186_117_258

# The registry's `dist.integrity` of each. They hold one native program; the main package would only pick among them.
INTEGRITY = {
    "x86_64": "sha512-f4JWhzwYutJIHScC7/dYOPX6s28tt7ZADhsOi8zwOHq5fFPEuUeChh2NMfinSg0GrUckYxaeebC4h0DqiKzLcw==",
    "aarch64": "sha512-BlHNEtK38KBPWU31F4lUSS9sHclCyfWbThT1CErvxxH8+XcljYLZlQwdyXBkTD62rw1TgfE1u1a+quMWS0NSJg==",
}
PACKAGES = {"x86_64": f"{SOURCE}-linux-x64", "aarch64": f"{SOURCE}-linux-arm64"}


def program(chosen: str | None) -> Program:
    """Return the program, in the version that the user chose or the tested one.

    Another one than the tested one is held to what the registry says of it.
    """
    version = chosen or VERSION
    tested = version == VERSION
    return Program(
        name=NAME,
        version=version,
        source=SOURCE,
        packages=tuple(
            Package(
                name=package,
                version=version,
                integrity=INTEGRITY[machine] if tested else "",
                machine=machine,
                commands=((NAME, "claude"),),
            )
            for machine, package in PACKAGES.items()
        ),
        size=SIZE if tested else 0,
        fixed=chosen is not None,
    )

"""The command that prints a shell's completion of all commands, made by shtab."""

import argparse

from genrekit.cli.progress import OK

__all__ = ["completion"]


def completion(options: argparse.Namespace) -> int:
    """Print what makes a shell complete the commands and their options."""
    import shtab

    print(shtab.complete(options.parser, options.shell))
    return OK

"""`python -P child.py PLACES MODULE ARGUMENTS...`: run a module of this package as a process of its own.

Started by its path: nothing of the working folder, nor of PLACES (separated as in PYTHONPATH), is imported in place of
a library, of Python's own modules or of this package.
"""

import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

PACKAGE_PLACE = Path(__file__).resolve().parents[2]


def module_command(module: str, *arguments: str, places: Sequence[str] = ()) -> list[str]:
    """The command that runs a module of this package.

    Args:
        module: its name.
        arguments: of the module.
        places: folders that it imports from last.
    """
    return [sys.executable, "-P", str(Path(__file__).resolve()), os.pathsep.join(places), module, *arguments]


def main() -> None:
    """Run the module that the arguments name."""
    places, module = sys.argv[1:3]
    package_place = str(PACKAGE_PLACE)
    sys.path.insert(0, package_place)
    __import__(module.partition(".")[0])
    del sys.path[0]
    sys.path += [place for place in (package_place, *places.split(os.pathsep)) if place and place not in sys.path]
    sys.argv[:] = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

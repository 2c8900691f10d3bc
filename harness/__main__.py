"""`python -m harness`, also under launchers such as accelerate and torchrun."""

import os
import sys
from contextlib import suppress

from harness.core.paths import bundle_root

# `python -m` looks in the working folder first, where modules and plug-ins may lie that nobody has installed.
with suppress(OSError, ValueError):  # the folder is gone, or was not put there
    if not sys.flags.safe_path and os.getcwd() != str(bundle_root()):  # noqa: PTH109 - as Python wrote it
        del sys.path[sys.path.index(os.getcwd(), 0, 2)]  # noqa: PTH109

from harness.cli import main

main()

"""`python -m harness`, also under launchers such as accelerate and torchrun."""

from harness.cli import main

main()

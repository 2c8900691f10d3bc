"""alignment-harness: is this checkpoint better, and is it safe to ship?"""

from harness.bundle import link_bundle

__version__ = "0.1.0"

link_bundle()

"""What a cold start loads stays to the end: the garbage collector need not look at it, neither meanwhile nor later.

To be imported before anything else of a function, and ended after it.
"""

import gc

gc.disable()


def end() -> None:
    """Leave what has been loaded to itself, and collect garbage from now on."""
    gc.freeze()
    gc.enable()

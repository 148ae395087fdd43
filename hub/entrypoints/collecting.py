"""What a server that is up spares Python's garbage collector."""

import gc

# Objects between two looks at the youngest. A request makes some thousand.
_LOOK_AFTER = 20_000


def spare_the_collector() -> None:
    """Let the collector look at what requests and batches make, and less often.

    What is loaded by now, above all the schema, lives as long as the process: to walk over it again
    and again costs as much as some requests do themselves.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_LOOK_AFTER)

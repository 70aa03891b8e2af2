"""Work over chunks of features on all cores, with the matrix library on one thread each."""

import contextlib
import functools
import os
from concurrent.futures import ThreadPoolExecutor

CHUNK = 64  # features at most at a time: the working set stays in cache


def map_chunks(function, count, chunk=CHUNK):
    """`[function(slice), ...]` over slices that cover `range(count)`, in order."""
    cores = os.cpu_count() or 1
    chunk = max(1, min(chunk, -(-count // cores)))
    parts = [slice(i, min(i + chunk, count)) for i in range(0, max(count, 1), chunk)]
    with one_thread_each():
        if len(parts) < 2:
            return [function(part) for part in parts]
        with ThreadPoolExecutor(min(len(parts), cores)) as pool:
            return list(pool.map(function, parts))


def one_thread_each():
    """Thousands of small matrices: threads inside the matrix library only hinder each other."""
    controller = _controller()
    return controller.limit(limits=1, user_api="blas") if controller else contextlib.nullcontext()


@functools.lru_cache(maxsize=1)
def _controller():
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()

"""Python's multiprocessing; tensors travel between processes by pickling."""

from multiprocessing import *  # noqa: F403


def spawn(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """Runs `fn(i, *args)` in `nprocs` fresh processes.

    Args:
        fn: a function importable from its module.
        args: further arguments.
        nprocs: the number of processes.
        join: wait for all of them and raise if one fails.

    Raises:
        RuntimeError: a process ended with an error.
    """
    import multiprocessing

    context = multiprocessing.get_context(start_method)
    processes = [context.Process(target=fn, args=(i, *args), daemon=daemon) for i in range(nprocs)]
    for p in processes:
        p.start()
    if not join:
        return processes
    for i, p in enumerate(processes):
        p.join()
        if p.exitcode != 0:
            raise RuntimeError(f"process {i} terminated with exit code {p.exitcode}")
    return None

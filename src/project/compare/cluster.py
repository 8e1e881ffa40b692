"""Runs on other machines, by Dask."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def cluster(backend: str, address: str | None, jobs: int = 1) -> Iterator[None]:
    """Connects to a cluster as long as it is needed; does nothing for another backend than ``dask``.

    Args:
        backend: See `run_all`.
        address: The address of a Dask scheduler; None starts workers on this machine.
        jobs: How many workers to start.

    Raises:
        ImportError: If Dask is not installed.
        OSError: If there is no scheduler at the address.
    """
    if backend != "dask":
        yield
        return
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ImportError("--backend dask needs Dask: pip install 'project[cluster]'") from error
    with contextlib.ExitStack() as stack:
        if address is None:
            local = LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=None)  # type: ignore[no-untyped-call]  # not annotated there
            address = stack.enter_context(local).scheduler_address
        client = stack.enter_context(Client(address, timeout=10))  # type: ignore[no-untyped-call]  # the same
        if any(threads > 1 for threads in client.nthreads().values()):
            raise OSError(
                f"the workers at {address} must have one thread each (--nthreads 1): runs share random numbers"
            )
        yield

"""What a program asks about distributed training before it decides to do without."""

from rtorch.nn.parallel import DataParallel


def is_available() -> bool:
    """Returns False: training runs in one process."""
    return False


def is_initialized() -> bool:
    """Returns False: there is no process group."""
    return False


def is_torchelastic_launched() -> bool:
    """Returns False."""
    return False


def get_rank(group=None) -> int:
    """Raises as PyTorch does without a process group."""
    raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")


get_world_size = get_rank


def init_process_group(*args, **kwargs):
    """Raises: distributed training is not supported."""
    raise RuntimeError(
        "rtorch has no distributed training; guard this call with torch.distributed.is_available(), which is False"
    )

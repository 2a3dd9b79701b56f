"""Prints what matters in a bug report: `python -m rtorch.utils.collect_env`."""

import importlib.metadata
import os
import platform
import sys

__all__ = ["get_env_info", "get_pretty_env_info", "main"]

# The instruction sets that choose a kernel.
_ISA_FLAGS = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")


def _cpu():
    """The name of the CPU and those of its instruction sets that matter."""
    name, flags = platform.processor() or platform.machine(), set()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            for line in f:
                key, _, value = line.partition(":")
                key = key.strip().lower()
                if key == "model name":
                    name = value.strip()
                elif key in ("flags", "features"):
                    flags = set(value.split())
    except OSError:
        # Not Linux: the machine's name has to do.
        return name, []
    return name, [flag for flag in _ISA_FLAGS if flag in flags]


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _adapters(rtorch):
    """The GPU adapters, as text; why there are none otherwise."""
    gpu = getattr(rtorch, "gpu", None)
    if gpu is None:
        return ["built without GPU support"]
    try:
        count = gpu.device_count()
        return [f"{i}: {gpu.get_device_name(i)}" for i in range(count)] or ["none found"]
    except (AttributeError, RuntimeError) as error:
        return [f"not available ({error})"]


def get_env_info():
    """Returns what `get_pretty_env_info` prints, as a dict of names to text or lists of text."""
    import rtorch

    name, flags = _cpu()
    return {
        "rtorch": getattr(rtorch, "__version__", "unknown"),
        "Python": sys.version.replace("\n", " "),
        "Platform": platform.platform(),
        "CPU": name,
        "CPU flags": " ".join(flags) or "unknown",
        "CPUs": str(os.cpu_count()),
        "Threads": str(rtorch.get_num_threads()),
        "RTORCH_CPU": os.environ.get("RTORCH_CPU", "not set"),
        "GPU adapters": _adapters(rtorch),
        "numpy": _version("numpy"),
    }


def get_pretty_env_info() -> str:
    """Returns a description of this environment, one line per fact."""
    lines = []
    for name, value in get_env_info().items():
        if isinstance(value, list):
            lines.append(f"{name}:")
            lines += ["    " + item for item in value]
        else:
            lines.append(f"{name}: {value}")
    return "\n".join(lines)


def main() -> None:
    """Prints the description."""
    print(get_pretty_env_info())


if __name__ == "__main__":
    main()

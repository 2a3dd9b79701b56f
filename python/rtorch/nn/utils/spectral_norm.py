"""Spectral normalisation by a forward pre-hook; `parametrizations.spectral_norm` is the newer form."""

import rtorch

from .. import functional as F
from ..parameter import Parameter

__all__ = ["SpectralNorm", "remove_spectral_norm", "spectral_norm"]


def default_dim(module):
    """The dimension of the outputs in the weight of `module`."""
    from ..modules.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d

    return 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0


class SpectralNorm:
    """The hook that divides a weight by its largest singular value before each forward (Miyato et al., 2018).

    Args:
        name: name of the weight.
        n_power_iterations: steps of the power iteration per forward in training. Default: 1.
        dim: dimension of the outputs. Default: 0.
        eps: lower bound of norms. Default: 1e-12.
    """

    _version = 1

    def __init__(self, name="weight", n_power_iterations=1, dim=0, eps=1e-12):
        self.name = name
        self.dim = dim
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.n_power_iterations = n_power_iterations
        self.eps = eps

    def reshape_weight_to_matrix(self, weight):
        """Returns the weight as a matrix (outputs, the rest)."""
        if self.dim != 0:
            weight = weight.permute(self.dim, *[d for d in range(weight.dim()) if d != self.dim])
        return weight.reshape(weight.size(0), -1)

    def compute_weight(self, module, do_power_iteration):
        """Returns the weight divided by the estimate of its largest singular value."""
        weight = getattr(module, self.name + "_orig")
        u, v = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        matrix = self.reshape_weight_to_matrix(weight)
        if do_power_iteration:
            with rtorch.no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(F.normalize(rtorch.mv(matrix.t(), u), dim=0, eps=self.eps))
                    u.copy_(F.normalize(rtorch.mv(matrix, v), dim=0, eps=self.eps))
                # The graph keeps its own copies: the next forward changes the buffers in place.
                u, v = u.clone(), v.clone()
        return weight / rtorch.dot(u, rtorch.mv(matrix, v))

    def remove(self, module):
        """Makes the weight a parameter again."""
        with rtorch.no_grad():
            weight = self.compute_weight(module, do_power_iteration=False)
        delattr(module, self.name)
        for suffix in ("_u", "_v", "_orig"):
            delattr(module, self.name + suffix)
        module.register_parameter(self.name, Parameter(weight.detach()))

    def __call__(self, module, inputs):
        setattr(module, self.name, self.compute_weight(module, do_power_iteration=module.training))

    @staticmethod
    def apply(module, name, n_power_iterations, dim, eps):
        """Adds the hook to `module`."""
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, SpectralNorm) and hook.name == name:
                raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
        hook = SpectralNorm(name, n_power_iterations, dim, eps)
        weight = module._parameters[name]
        if weight is None:
            raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
        with rtorch.no_grad():
            height, width = hook.reshape_weight_to_matrix(weight).size()
            u = F.normalize(weight.new_empty(height).normal_(0, 1), dim=0, eps=eps)
            v = F.normalize(weight.new_empty(width).normal_(0, 1), dim=0, eps=eps)
        del module._parameters[name]
        module.register_parameter(name + "_orig", weight)
        # A plain attribute, so that code which looks at the weight before the first forward finds one.
        setattr(module, name, weight.data)
        module.register_buffer(name + "_u", u)
        module.register_buffer(name + "_v", v)
        module.register_forward_pre_hook(hook)
        module._register_state_dict_hook(_VersionMark(hook))
        return hook


class _VersionMark:
    """Writes the version of the hook into the metadata of a state dict, as checkpoints have it."""

    def __init__(self, hook):
        self.hook = hook

    def __call__(self, module, state_dict, prefix, local_metadata):
        marks = local_metadata.setdefault("spectral_norm", {})
        marks[self.hook.name + ".version"] = self.hook._version


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """Divides a parameter by its largest singular value at each forward.

    Args:
        module: the module.
        name: name of the parameter. Default: "weight".
        n_power_iterations: steps of the power iteration per forward in training. Default: 1.
        eps: lower bound of norms. Default: 1e-12.
        dim: dimension of the outputs. Default: 0, and 1 for transposed convolutions.
    """
    SpectralNorm.apply(module, name, n_power_iterations, default_dim(module) if dim is None else dim, eps)
    return module


def remove_spectral_norm(module, name="weight"):
    """Undoes `spectral_norm`."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, SpectralNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            break
    else:
        raise ValueError(f"spectral_norm of '{name}' not found in {module}")
    for key, hook in module._state_dict_hooks.items():
        if isinstance(hook, _VersionMark) and hook.hook.name == name:
            del module._state_dict_hooks[key]
            break
    return module

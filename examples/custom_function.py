"""An operation with a derivative of its own: rounding that lets gradients through, used to learn a quantised scale."""

import rtorch as torch


class Round(torch.autograd.Function):
    """Rounds to the nearest integer; in backward it acts as the identity (a straight-through estimator)."""

    @staticmethod
    def forward(ctx, x, low, high):
        ctx.save_for_backward(x)
        ctx.low, ctx.high = low, high
        return x.round().clamp(low, high)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        inside = (x >= ctx.low) & (x <= ctx.high)
        return grad * inside, None, None


torch.manual_seed(0)
values = torch.randn(1000)
scale = torch.tensor(1.0, requires_grad=True)
optimizer = torch.optim.Adam([scale], lr=0.02)

for step in range(1, 201):
    quantised = Round.apply(values / scale, -8, 7) * scale
    loss = (quantised - values).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:3d}  scale {scale.item():.4f}  mean squared error {loss.item():.6f}")

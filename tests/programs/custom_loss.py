# A loss of one's own, as a Module with a buffer and an option.
import rtorch as torch
import rtorch.nn as nn


class WeightedHuber(nn.Module):
    def __init__(self, weight, delta=1.0, reduction="mean"):
        super().__init__()
        self.register_buffer("weight", weight)
        self.delta = delta
        self.reduction = reduction

    def forward(self, input, target):
        error = (input - target).abs()
        small = 0.5 * error**2
        large = self.delta * (error - 0.5 * self.delta)
        loss = torch.where(error < self.delta, small, large) * self.weight
        return loss.mean() if self.reduction == "mean" else loss.sum()


class DiceLoss(nn.Module):
    def __init__(self, smooth=1.0):
        super(DiceLoss, self).__init__()
        self.smooth = smooth

    def forward(self, inputs, targets):
        inputs = torch.sigmoid(inputs)
        inputs = inputs.view(-1)
        targets = targets.view(-1)
        intersection = (inputs * targets).sum()
        dice = (2.0 * intersection + self.smooth) / (inputs.sum() + targets.sum() + self.smooth)
        return 1 - dice


torch.manual_seed(3)
x = torch.randn(64, 5)
y = x @ torch.tensor([[1.0, 0.0], [2.0, -1.0], [0.0, 3.0], [-1.0, 0.5], [0.5, 0.5]]) + 0.1 * torch.randn(64, 2)
model = nn.Linear(5, 2)
criterion = WeightedHuber(torch.tensor([1.0, 2.0]))
print(criterion, list(criterion.state_dict()))
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
for step in range(100):
    loss = criterion(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(step, loss.item())
print(model.weight)

logits = torch.randn(2, 1, 4, 4, requires_grad=True)
mask = (torch.rand(2, 1, 4, 4) > 0.5).float()
loss = DiceLoss()(logits, mask)
loss.backward()
print(loss, logits.grad.abs().sum())

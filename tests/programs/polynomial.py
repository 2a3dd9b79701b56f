# A cubic fitted to sin(x): gradients by hand, by autograd, with nn and with optim; all four agree.
import math

import rtorch as torch

x = torch.linspace(-math.pi, math.pi, 2000)
y = torch.sin(x)


def start():
    torch.manual_seed(0)
    return [torch.randn(()) for _ in range(4)]


a, b, c, d = start()
for t in range(500):
    y_pred = a + b * x + c * x**2 + d * x**3
    grad = 2.0 * (y_pred - y)
    a -= 1e-6 * grad.sum()
    b -= 1e-6 * (grad * x).sum()
    c -= 1e-6 * (grad * x**2).sum()
    d -= 1e-6 * (grad * x**3).sum()
print("by hand:  y = {:.4f} + {:.4f} x + {:.4f} x^2 + {:.4f} x^3".format(a.item(), b.item(), c.item(), d.item()))

a, b, c, d = (p.requires_grad_() for p in start())
for t in range(500):
    loss = (a + b * x + c * x**2 + d * x**3 - y).pow(2).sum()
    loss.backward()
    with torch.no_grad():
        for p in (a, b, c, d):
            p -= 1e-6 * p.grad
            p.grad = None
print("autograd: y = {:.4f} + {:.4f} x + {:.4f} x^2 + {:.4f} x^3".format(a.item(), b.item(), c.item(), d.item()))


class Polynomial3(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.d = (torch.nn.Parameter(p) for p in start())

    def forward(self, x):
        return self.a + self.b * x + self.c * x**2 + self.d * x**3

    def string(self):
        return f"y = {self.a.item():.4f} + {self.b.item():.4f} x + {self.c.item():.4f} x^2 + {self.d.item():.4f} x^3"


model = Polynomial3()
criterion = torch.nn.MSELoss(reduction="sum")
optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
for t in range(500):
    loss = criterion(model(x), y)
    if t % 100 == 99:
        print(t, f"{loss.item():.3f}")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("nn:      ", model.string())

p = torch.tensor([1, 2, 3])
xx = x.unsqueeze(-1).pow(p)
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.Flatten(0, 1))
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for t in range(500):
    loss = criterion(model(xx), y)
    if t % 100 == 99:
        print(t, f"{loss.item():.3f}")
    model.zero_grad()
    loss.backward()
    optimizer.step()
layer = model[0]
print([round(v, 3) for v in layer.weight[0].tolist()])

# Gradient descent on y = wx + b, the update written by hand.
import rtorch as torch

torch.manual_seed(0)
x = torch.linspace(0, 1, 50)
y = 2 * x + 1 + 0.05 * torch.randn(50)

w = torch.randn(1, requires_grad=True)
b = torch.zeros(1, requires_grad=True)
lr = 0.1

for epoch in range(200):
    y_hat = w * x + b
    loss = ((y_hat - y) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        w -= lr * w.grad
        b -= lr * b.grad
        w.grad.zero_()
        b.grad.zero_()
    if epoch % 40 == 0:
        print(epoch, loss.item())

print(w, b)
print(w.grad, w.is_leaf, w.requires_grad)

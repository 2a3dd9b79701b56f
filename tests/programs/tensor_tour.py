# Making, reshaping, indexing and joining tensors; numpy and back.
import numpy as np
import rtorch as torch

x = torch.zeros(5, 3, dtype=torch.long)
print(x)
x = torch.tensor([5.5, 3])
print(x)
x = x.new_ones(5, 3, dtype=torch.double)
print(x, x.size())
torch.manual_seed(0)
x = torch.randn_like(x, dtype=torch.float)
y = torch.rand(5, 3)
print(x + y, torch.add(x, y))
result = torch.empty(5, 3)
torch.add(x, y, out=result)
y.add_(x)
print(torch.equal(result, y), y[:, 1])
x = torch.randn(4, 4)
y = x.view(16)
z = x.view(-1, 8)
print(x.size(), y.size(), z.size(), x.t().is_contiguous(), x.permute(1, 0).stride())
y[0] = 7
print(x[0, 0].item(), x.data_ptr() == y.data_ptr())

a = torch.ones(5)
b = a.numpy()
a.add_(1)
print(a, b)
a = np.ones(5)
b = torch.from_numpy(a)
np.add(a, 1, out=a)
print(a, b)

m = torch.arange(12).reshape(3, 4)
print(m[1:, ::2], m[-1], m[m > 5], m[[0, 2], [1, 3]], m[..., None].shape)
m[0] = 0
m[:, 3] += 100
print(m, m.sum(), m.sum(dim=0), m.float().mean(1, keepdim=True), m.max(), m.argmax(dim=1))
print(torch.cat([m, m], 0).shape, torch.stack([m, m]).shape, [t.shape for t in m.split(2)], len(m.chunk(2, dim=1)))
print(m.unsqueeze(0).shape, m.unsqueeze(0).squeeze().shape, m.transpose(0, 1).shape, m.expand(2, 3, 4).shape)
values, indices = m.float().topk(2, dim=1)
print(values, indices[1:])
print(m.float() @ m.float().T, torch.mm(m.float(), m.float().t()).trace())
for row in m:
    print(row.tolist(), len(row), 9 in row)
print(torch.where(m > 50, m, -1), m.clamp(2, 9), m.unique())

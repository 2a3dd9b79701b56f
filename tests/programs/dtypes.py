# Integer, floating and complex tensors.
import rtorch as torch

i = torch.tensor([1, 2, 3])
f = torch.tensor([1.5, 2.5, 3.5])
c = torch.tensor([1 + 2j, 3 - 4j])
print(i.dtype, f.dtype, c.dtype, torch.tensor(True).dtype)
print(i, f, c)
print(i + f, i / 2, i // 2, i % 2, i * 2.0)
print((i + 1j).dtype, (f + 1j).dtype, (f.double() + c[0]).dtype)
print(torch.IntTensor([1, 2]), torch.FloatTensor([1, 2]), torch.DoubleTensor([1, 2]), torch.LongTensor([1, 2]))
print(i.float(), f.int(), f.long(), f.half(), f.bfloat16(), i.bool(), f.double())
print(c.abs(), c.angle(), c.real, c.imag, c.conj())
print(c * c.conj(), torch.view_as_real(c))
print(torch.zeros(2, 3, dtype=torch.int32), torch.ones(2, dtype=torch.complex128), torch.full((2,), 7))
print(torch.arange(5), torch.arange(0, 1, 0.25), torch.linspace(0, 1, 5), torch.eye(2, dtype=torch.uint8))
print(i.type(), f.type(), f.type(torch.float64).type())
print(torch.result_type(i, 1.0), torch.promote_types(torch.int8, torch.float16), torch.can_cast(torch.float, torch.int))
print(torch.tensor(200, dtype=torch.uint8) + torch.tensor(100, dtype=torch.uint8))
print(torch.iinfo(torch.int16).max, torch.finfo(torch.float32).eps)
print(i & 1, i | 4, i ^ 7, ~i, i << 2, i > 1)
print(f.is_floating_point(), c.is_complex(), torch.is_tensor(i), f.element_size(), i.element_size())
try:
    i += 1.5
except RuntimeError as e:
    print(e)
print(torch.polar(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 3.141592653589793])))
x = torch.tensor([3 + 4j, 1j], requires_grad=True)
(x.abs() ** 2).sum().backward()
print(x.grad)

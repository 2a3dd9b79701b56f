# nn.Linear, MSELoss and SGD for 1000 epochs, then a prediction for 4.
import rtorch as torch
from rtorch.autograd import Variable

x_data = Variable(torch.Tensor([[1.0], [2.0], [3.0]]))
y_data = Variable(torch.Tensor([[2.0], [4.0], [6.0]]))


class LinearRegressionModel(torch.nn.Module):
    def __init__(self):
        super(LinearRegressionModel, self).__init__()
        self.linear = torch.nn.Linear(1, 1)

    def forward(self, x):
        return self.linear(x)


torch.manual_seed(1)
our_model = LinearRegressionModel()
criterion = torch.nn.MSELoss(reduction="sum")
optimizer = torch.optim.SGD(our_model.parameters(), lr=0.01)

for epoch in range(1000):
    pred_y = our_model(x_data)
    loss = criterion(pred_y, y_data)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 100 == 0:
        print("epoch {}, loss {}".format(epoch, loss.item()))

new_var = Variable(torch.Tensor([[4]]))
pred_y = our_model(new_var)
print("predict (after training)", 4, our_model(new_var).item())
print(pred_y)
print(our_model.state_dict())

# The 784-128-10 network with momentum and a DataLoader, for ten epochs, on ten clusters in place of the images.
import rtorch as torch
import rtorch.nn as nn
import rtorch.optim as optim
from rtorch.utils.data import DataLoader, TensorDataset

torch.manual_seed(42)
centres = torch.randn(10, 784)
labels = torch.randint(0, 10, (640,))
images = 0.25 * centres[labels] + torch.randn(640, 784)
train_loader = DataLoader(TensorDataset(images[:512], labels[:512]), batch_size=64, shuffle=True)
test_loader = DataLoader(TensorDataset(images[512:], labels[512:]), batch_size=128)


class MLP(nn.Module):
    def __init__(self):
        super(MLP, self).__init__()
        self.fc1 = nn.Linear(784, 128)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = x.view(-1, 784)
        x = self.relu(self.fc1(x))
        return self.fc2(x)


model = MLP()
print(model)
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

for epoch in range(10):
    model.train()
    running_loss = 0.0
    for batch_idx, (data, target) in enumerate(train_loader):
        optimizer.zero_grad()
        output = model(data)
        loss = criterion(output, target)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    print("Epoch {}, loss {:.6f}".format(epoch + 1, running_loss / len(train_loader)))

model.eval()
correct = 0
total = 0
with torch.no_grad():
    for data, target in test_loader:
        outputs = model(data)
        _, predicted = torch.max(outputs.data, 1)
        total += target.size(0)
        correct += (predicted == target).sum().item()
print("Accuracy: {:.1f}%".format(100 * correct / total))

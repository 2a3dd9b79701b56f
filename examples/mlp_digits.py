"""A two-layer network on the digits, written with nn.Sequential; the shortest whole training program."""

import rtorch as torch
from rtorch import nn
from rtorch.utils.data import DataLoader
from rtorch.vision import OpticalDigits

torch.manual_seed(0)
train = DataLoader(OpticalDigits(train=True), batch_size=32, shuffle=True)
test = DataLoader(OpticalDigits(train=False), batch_size=256)

model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
print(model)

for epoch in range(1, 11):
    model.train()
    for images, labels in train:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()

    model.eval()
    with torch.no_grad():
        right = sum((model(images).argmax(1) == labels).sum().item() for images, labels in test)
    print(f"epoch {epoch:2d}  last loss {loss.item():.4f}  accuracy {100 * right / len(test.dataset):.2f} %")

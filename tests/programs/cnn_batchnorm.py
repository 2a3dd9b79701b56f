# tolerance: 1e-3
# A CNN with BatchNorm and Dropout in train and eval mode, Adam with a schedule, saved and loaded again.
import os
import tempfile

import rtorch as torch
import rtorch.nn as nn

torch.manual_seed(7)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

model = nn.Sequential(
    nn.Conv2d(3, 8, kernel_size=3, padding=1),
    nn.BatchNorm2d(8),
    nn.ReLU(inplace=True),
    nn.MaxPool2d(2),
    nn.Conv2d(8, 16, kernel_size=3, stride=2, padding=1, bias=False),
    nn.BatchNorm2d(16),
    nn.LeakyReLU(0.2),
    nn.AdaptiveAvgPool2d((1, 1)),
    nn.Flatten(),
    nn.Dropout(p=0.5),
    nn.Linear(16, 4),
).to(device)
print(model)
print(sum(p.numel() for p in model.parameters() if p.requires_grad))

x = torch.randn(32, 3, 16, 16)
y = torch.randint(4, (32,))
x += y.view(-1, 1, 1, 1) * 0.5
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-4)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.5)
for epoch in range(20):
    model.train()
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
    optimizer.step()
    scheduler.step()
    if epoch % 5 == 4:
        print("epoch %d loss %.4f lr %g" % (epoch + 1, loss.item(), scheduler.get_last_lr()[0]))

model.eval()
with torch.no_grad():
    out = model(x)
print(out.argmax(dim=1)[:8])
for name, value in model.state_dict().items():
    print(name, tuple(value.shape), value.dtype)

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "model.pt")
    torch.save({"epoch": 20, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
    checkpoint = torch.load(path)
for p in model.parameters():
    nn.init.zeros_(p)
print(model.load_state_dict(checkpoint["model"]), checkpoint["epoch"], len(checkpoint["optimizer"]["state"]))
with torch.no_grad():
    print(torch.allclose(model(x), out))

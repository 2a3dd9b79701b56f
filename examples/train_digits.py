"""Trains a small convolutional network on the handwritten digits that come with the package.

    python examples/train_digits.py [--epochs 15] [--out out]

Writes a picture with the loss and accuracy curves and some predictions, and a checkpoint, which it reloads into a fresh
network to check that the outputs are the same. Exits with 1 below 97 % accuracy on the held-back fifth.
"""

import argparse
import sys
import time
from pathlib import Path

import rtorch as torch
import rtorch.nn.functional as F
from rtorch import nn
from rtorch.utils.data import DataLoader, TensorDataset
from rtorch.vision import digits

GOAL = 0.97


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(64)
        self.dropout = nn.Dropout(0.3)
        self.fc1 = nn.Linear(64 * 2 * 2, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = self.dropout(torch.flatten(x, 1))
        x = self.dropout(F.relu(self.fc1(x)))
        return self.fc2(x)


def progress(epoch, epochs, done, total, text):
    """One line that is rewritten on a terminal, and written once an epoch elsewhere."""
    if not sys.stdout.isatty() and done < total:
        return
    width = 28
    bar = "█" * (width * done // total)
    start = "\r" if sys.stdout.isatty() else ""
    print(f"{start}epoch {epoch:2d}/{epochs} {bar:<{width}} {done:2d}/{total}  {text}", end="", flush=True)


@torch.no_grad()
def accuracy(model, images, labels):
    model.eval()
    return (model(images).argmax(dim=1) == labels).float().mean().item()


def plot(path, history, images, labels, scores):
    """The curves, and the held-back images with what the network says about them, its mistakes first."""
    try:
        import matplotlib
    except ImportError:
        print("no picture: matplotlib is not installed (pip install matplotlib)")
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(11, 7), layout="constrained")
    curves, samples = figure.subfigures(2, 1, height_ratios=[1, 1])
    left, right = curves.subplots(1, 2)
    epochs = range(1, len(history["loss"]) + 1)
    left.plot(epochs, history["loss"], color="tab:blue")
    left.set(title="training loss", xlabel="epoch", ylabel="cross entropy", yscale="log")
    right.plot(epochs, [100 * a for a in history["accuracy"]], color="tab:green")
    right.axhline(100 * GOAL, color="grey", linestyle=":", label=f"{100 * GOAL:.0f} %")
    right.set(title="accuracy on the held-back fifth", xlabel="epoch", ylabel="%")
    right.legend(loc="lower right")

    predicted = scores.argmax(dim=1)
    order = torch.argsort((predicted == labels).long(), stable=True)[:24].tolist()
    for axis, i in zip(samples.subplots(3, 8).flat, order):
        axis.imshow(images[i, 0].numpy(), cmap="gray_r")
        right_answer = predicted[i].item() == labels[i].item()
        title = f"{predicted[i].item()}" if right_answer else f"{predicted[i].item()}, not {labels[i].item()}"
        axis.set_title(title, color="black" if right_answer else "red", fontsize=9)
        axis.axis("off")
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(f"picture     {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("out"))
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device(args.device)
    train_images, train_labels = digits("train")
    test_images, test_labels = (t.to(device) for t in digits("test"))
    loader = DataLoader(TensorDataset(train_images, train_labels), batch_size=args.batch_size, shuffle=True)
    model = Net().to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs)
    print(f"{len(train_labels)} images to train on, {len(test_labels)} held back,", end=" ")
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {torch.get_num_threads()} threads")

    history = {"loss": [], "accuracy": []}
    started = time.perf_counter()
    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for step, (images, labels) in enumerate(loader, 1):
            images, labels = images.to(device), labels.to(device)
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
            progress(epoch, args.epochs, step, len(loader), f"loss {total / step:.4f}")
        scheduler.step()
        history["loss"].append(total / len(loader))
        history["accuracy"].append(accuracy(model, test_images, test_labels))
        print(f"  test accuracy {100 * history['accuracy'][-1]:.2f} %", flush=True)
    seconds = time.perf_counter() - started
    print(f"training    {seconds:.1f} s, {1000 * seconds / args.epochs / len(loader):.2f} ms a step")

    args.out.mkdir(parents=True, exist_ok=True)
    model.eval()
    with torch.no_grad():
        scores = model(test_images)
    plot(args.out / "digits.png", history, test_images.cpu(), test_labels.cpu(), scores.cpu())

    checkpoint = args.out / "digits.pt"
    torch.save(model.state_dict(), checkpoint)
    fresh = Net().to(device)
    fresh.load_state_dict(torch.load(checkpoint))
    fresh.eval()
    with torch.no_grad():
        same = torch.equal(fresh(test_images), scores)
    print(f"checkpoint  {checkpoint}, reloaded: {'same outputs' if same else 'DIFFERENT OUTPUTS'}")

    reached = history["accuracy"][-1]
    print(f"accuracy    {100 * reached:.2f} % (goal {100 * GOAL:.0f} %)")
    return 0 if same and reached >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())

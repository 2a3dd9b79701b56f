# tolerance: 1e-4
# An LSTM that tags words: Embedding, LSTM, Linear and NLLLoss, one sentence at a time.
import rtorch as torch
import rtorch.nn as nn
import rtorch.nn.functional as F
import rtorch.optim as optim

torch.manual_seed(1)

lstm = nn.LSTM(3, 3)
inputs = [torch.randn(1, 3) for _ in range(5)]
hidden = (torch.randn(1, 1, 3), torch.randn(1, 1, 3))
for i in inputs:
    out, hidden = lstm(i.view(1, 1, -1), hidden)
inputs = torch.cat(inputs).view(len(inputs), 1, -1)
hidden = (torch.randn(1, 1, 3), torch.randn(1, 1, 3))
out, hidden = lstm(inputs, hidden)
print(out)
print(hidden)

data = [
    ("a small boat crossed the lake".split(), ["DET", "ADJ", "NN", "V", "DET", "NN"]),
    ("everybody saw the old bridge".split(), ["NN", "V", "DET", "ADJ", "NN"]),
]
words = {}
for sentence, _ in data:
    for word in sentence:
        words.setdefault(word, len(words))
tags = {"DET": 0, "NN": 1, "V": 2, "ADJ": 3}


class Tagger(nn.Module):
    def __init__(self, embedding_dim, hidden_dim, vocab_size, tagset_size):
        super().__init__()
        self.embeddings = nn.Embedding(vocab_size, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim)
        self.hidden2tag = nn.Linear(hidden_dim, tagset_size)

    def forward(self, sentence):
        embeds = self.embeddings(sentence)
        lstm_out, _ = self.lstm(embeds.view(len(sentence), 1, -1))
        return F.log_softmax(self.hidden2tag(lstm_out.view(len(sentence), -1)), dim=1)


model = Tagger(6, 6, len(words), len(tags))
print(model)
loss_function = nn.NLLLoss()
optimizer = optim.SGD(model.parameters(), lr=0.1)
for epoch in range(200):
    for sentence, names in data:
        model.zero_grad()
        sentence_in = torch.tensor([words[w] for w in sentence], dtype=torch.long)
        targets = torch.tensor([tags[t] for t in names], dtype=torch.long)
        loss = loss_function(model(sentence_in), targets)
        loss.backward()
        optimizer.step()
    if epoch % 40 == 0:
        print(epoch, loss.item())
with torch.no_grad():
    print(model(torch.tensor([words[w] for w in data[0][0]])).argmax(1))

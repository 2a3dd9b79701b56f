"""The fuzz: calls with every kind of wrong argument, each of which has to end in a value or an ordinary exception."""

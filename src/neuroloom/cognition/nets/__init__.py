"""Networks that play tasks: leaky rate units under biological constraints, LSTM, GRU."""

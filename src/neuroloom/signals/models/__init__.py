"""The models behind `--model` for signals: what each is, wants, and is made of."""

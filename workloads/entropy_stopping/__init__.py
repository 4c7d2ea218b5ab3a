"""Entropy early stopping: where rules stop a training, what it costs until there and how accurate the model is then."""

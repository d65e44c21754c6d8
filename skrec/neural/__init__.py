"""What the models on torch share: sparse batches, layers, likelihoods, and the training loop."""

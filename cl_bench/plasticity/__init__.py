"""`cl-bench plasticity`: can a trained model still learn? Fresh RL from it and from its base."""

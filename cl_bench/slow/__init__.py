"""Training parameters: RL with TRL's trainer, self-distillation, and the optimizer of both."""

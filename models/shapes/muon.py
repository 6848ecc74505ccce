"""The Muon optimiser: steps with momentum, each weight's step made orthogonal, so that every direction of it is learned equally fast."""
import torch


def orthogonal(matrices):
    """[n,rows,columns] of the same singular vectors, all singular values near 1: five steps of Newton and Schulz."""
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonal(matrices.transpose(1, 2)).transpose(1, 2)
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x


class Muon(torch.optim.Optimizer):
    """For weights of two dimensions or more; a step is about as large as AdamW's would be, so the rates are alike."""

    def __init__(self, weights, lr=1e-3, momentum=0.95):
        super().__init__(weights, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            alike = {}
            for weight in group["params"]:
                alike.setdefault(weight.flatten(1).shape, []).append(weight)
            for shape, weights in alike.items():
                ahead = torch.stack([self._ahead(weight, group["momentum"]).flatten(1) for weight in weights])
                for weight, change in zip(weights, orthogonal(ahead)):
                    weight.add_(change.reshape(weight.shape), alpha=-0.5 * max(shape) ** 0.5 * group["lr"])

    def _ahead(self, weight, momentum):
        """Nesterov's gradient: what the momentum will be after one more step like this."""
        mean = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
        mean.lerp_(weight.grad, 1 - momentum)
        return weight.grad.lerp(mean, momentum)

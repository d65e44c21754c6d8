"""The network of VAE-BMF: encoders that read the embeddings of the other side."""

import math

import torch
from torch import nn
from torch.nn.functional import embedding, logsigmoid

from skrec.networks._row_sums import global_attention, rated_attention, sum_rated

# Variances start at sigmoid(-3) = 0.05: at one half, noise would drown the first products.
INITIAL_VARIANCE_LOGIT = -3.0
# Share of Glorot's scale at which weights of embeddings begin: these are noise to begin with.
INITIAL_ATTENTION = 0.1
INITIAL_FEEDBACK = 0.1


def slice_products(embeddings, weight, gradient_memory=None):
    """Product of each embedding with its own slice of a weight matrix.

    Rows of ``mask @ slice_products(V, W)`` are those of ``Z @ W.reshape(-1, n_outputs)``, where
    row i of Z is the concatenation of all embeddings with zeros for those that the mask leaves
    out: the same product without an array of shape (n_rows, n_columns * n_components).

    Parameters
    ----------
    embeddings : tensor of shape (n_columns, n_components)
        Constants: no gradient is passed on to them.
    weight : tensor of shape (n_columns, n_components, n_outputs)
    gradient_memory : tensor like `weight`, default=None
        Where the gradient is written: what an earlier backward pass has left there is lost. To
        fill new memory at every update takes longer than all the arithmetic.

    Returns
    -------
    products : tensor of shape (n_columns, n_outputs)
    """
    return _SliceProducts.apply(embeddings, weight, gradient_memory)


class _SliceProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx, embeddings, weight, gradient_memory):
        ctx.save_for_backward(embeddings)
        ctx.gradient_memory = gradient_memory
        return torch.bmm(embeddings[:, None, :], weight).squeeze(1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        (embeddings,) = ctx.saved_tensors
        out = ctx.gradient_memory
        grad_weight = torch.mul(embeddings[:, :, None], grad[:, None, :], out=out)
        # A new view: a tensor that is held elsewhere would be copied on its way to the weight.
        return None, grad_weight if out is None else grad_weight.view_as(out), None


class PairedLinear(nn.Module):
    """Two linear layers side by side: one for means, one for variances."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(2, n_inputs, n_outputs))
        self.bias = nn.Parameter(torch.empty(2, 1, n_outputs))

    def forward(self, pair):  # (2, n_rows, n_inputs) -> (2, n_rows, n_outputs)
        return torch.baddbmm(self.bias, pair, self.weight)


def _paired_layers(sizes):
    return nn.ModuleList(
        PairedLinear(n_inputs, n_outputs)
        for n_inputs, n_outputs in zip(sizes[:-1], sizes[1:], strict=True)
    )


class Encoder(nn.Module):
    """From the ratings of a user and the embeddings of the rated items to the user's posterior.

    Or the other way round. Means and variances come from separate copies of all layers, which
    stand side by side in one tensor.

    Parameters
    ----------
    n_columns : int
        Number of items for an encoder of users, and the other way round.
    n_components : int
    hidden_layer_sizes : list of int
        Widths of the layers of the two towers, at least one.
    joint_layer_sizes : list of int
        Widths of the layers after the towers are joined.
    data_input, cross_feedback : bool
        Which towers there are.
    latent_input : {"concat", "mean"}
    attention : {"rated", "all", None}
    attention_norm : {"softmax", "ratio"}
    normalize : bool
        Whether the sums over entries are divided by the square root of their number.
    frozen : bool, default=False
        Whether the encoder reads the same embeddings for good: those of `frozen_state`.
    """

    def __init__(
        self,
        n_columns,
        n_components,
        hidden_layer_sizes,
        joint_layer_sizes,
        *,
        data_input,
        cross_feedback,
        latent_input,
        attention,
        attention_norm,
        normalize,
        frozen=False,
    ):
        super().__init__()
        self.data_input = data_input
        self.cross_feedback = cross_feedback
        self.latent_input = latent_input
        self.attention = attention
        self.attention_norm = attention_norm
        self.normalize = normalize
        first = hidden_layer_sizes[0]
        if data_input:
            self.data_weight = nn.Parameter(torch.empty(n_columns, 2 * first))
            self.data_bias = nn.Parameter(torch.empty(2 * first))
            self.data_tower = _paired_layers(hidden_layer_sizes)
        self._gradient_memory = None
        self.register_buffer("table", None)
        self.register_buffer("embeddings", None)
        if frozen:
            self.embeddings = torch.empty(n_columns, n_components)
        if cross_feedback:
            if frozen:
                self.table = torch.empty(n_columns, 2 * first)
            else:
                n_slices = n_columns if latent_input == "concat" else 1
                self.latent_weight = nn.Parameter(torch.empty(n_slices, n_components, 2 * first))
            self.latent_bias = nn.Parameter(torch.empty(2 * first))
            self.latent_tower = _paired_layers(hidden_layer_sizes)
        n_towers = data_input + cross_feedback
        self.joint = _paired_layers(
            [n_towers * hidden_layer_sizes[-1], *joint_layer_sizes, n_components]
        )
        if attention is not None:
            self.attention_weight = nn.Parameter(torch.empty(2, n_components, n_components))
            self.attended = PairedLinear(2 * n_components, n_components)

    def init(self, n_entries_per_row, generator):
        """Draw Glorot uniform weights; those of the inputs by the mean number of entries."""
        fan_in = 1.0 if self.normalize else n_entries_per_row
        if self.data_input:
            _init_uniform(self.data_weight, fan_in, self.data_weight.shape[1] / 2, generator)
            nn.init.zeros_(self.data_bias)
        if self.cross_feedback:
            _, n_components, n_outputs = self.latent_weight.shape
            fan_in = fan_in if self.latent_input == "concat" else 1.0
            _init_uniform(self.latent_weight, fan_in * n_components, n_outputs / 2, generator)
            nn.init.zeros_(self.latent_bias)
        for layer in self.modules():
            if isinstance(layer, PairedLinear):
                _init_uniform(layer.weight, *layer.weight.shape[1:], generator)
                nn.init.zeros_(layer.bias)
        if self.attention is not None:
            n_components = self.attention_weight.shape[1]
            _init_uniform(self.attention_weight, n_components, n_components, generator)
        with torch.no_grad():
            self.joint[-1].bias[1] = INITIAL_VARIANCE_LOGIT
            if self.attention is not None:  # what attends passes through, what it finds is added
                self.attended.weight[:, :n_components] = torch.eye(n_components)
                self.attended.weight[:, n_components:] *= INITIAL_ATTENTION
            if self.cross_feedback:
                self.latent_weight *= INITIAL_FEEDBACK

    def latent_table(self, embeddings):
        """What an entry adds to the first layer of the latent tower, for each column."""
        if not self.cross_feedback:
            return None
        if self.latent_input == "mean":
            return embeddings @ self.latent_weight[0]
        if torch.is_grad_enabled() and self._gradient_memory is None:
            self._gradient_memory = torch.empty_like(self.latent_weight)
        return slice_products(embeddings, self.latent_weight, self._gradient_memory)

    def frozen_state(self, embeddings):
        """State of a frozen encoder that reads these embeddings."""
        state = {**self.state_dict(), "embeddings": embeddings}
        if state.pop("latent_weight", None) is not None:
            state["table"] = self.latent_table(embeddings).detach()
        return state

    def forward(self, batch, embeddings=None, table=None, dropout_scale=1.0, left_out=None):
        """Posterior of each row of a batch.

        Parameters
        ----------
        batch : SparseBatch
        embeddings : tensor of shape (n_columns, n_components), default=None
            None means those of a frozen encoder.
        table : tensor of shape (n_columns, 2 * hidden_layer_sizes[0]), default=None
            `latent_table(embeddings)`, if it is known already.
        dropout_scale : float, default=1.0
            Entries of a row for each one that dropout has left in the batch.
        left_out : LeftOut, default=None
            Entries without which their rows are encoded too, each in turn.

        Returns
        -------
        mean, log_var : tensor of shape (n_rows, n_components)
            With `left_out` a list of two such tuples, the second with a row for each entry.

        Notes
        -----
        The first layers are linear: their sums are made once for each row, and an entry's share
        is taken off. So is its share of attention, for which the query stays that of all entries.
        """
        if embeddings is None:
            embeddings, table = self.embeddings, self.table
        elif table is None:
            table = self.latent_table(embeddings)
        data = sum_rated(self.data_weight, batch, batch.values) if self.data_input else None
        latent = sum_rated(table, batch) if self.cross_feedback else None
        pairs = [self._forward_towers(data, latent, batch.offsets.diff(), dropout_scale)]
        if left_out is not None:
            if self.data_input:
                data = left_out.sums_without(data, self.data_weight, left_out.values)
            if self.cross_feedback:
                latent = left_out.sums_without(latent, table)
            pairs.append(
                self._forward_towers(data, latent, left_out.lengths(batch), dropout_scale)
            )
        if self.attention is not None:
            contexts = self._contexts(pairs[0], batch, embeddings, left_out)
            pairs = [
                self.attended(torch.cat([pair, context], dim=2))
                for pair, context in zip(pairs, contexts, strict=True)
            ]
        posteriors = [(pair[0], logsigmoid(pair[1])) for pair in pairs]
        return posteriors[0] if left_out is None else posteriors

    def _forward_towers(self, data, latent, lengths, dropout_scale):
        """From sums over entries to means and logits of variances, (2, n_rows, n_components)."""
        n_entries = lengths.clamp(min=1).to(self.joint[-1].bias.dtype)[:, None]
        # With normalize: the sum over all entries, dropped ones too, over the root of the number.
        scale = torch.full_like(n_entries, dropout_scale)
        if self.normalize:
            scale = (scale / n_entries).sqrt()
        towers = []
        if data is not None:
            towers.append(_forward_tower(data * scale + self.data_bias, self.data_tower))
        if latent is not None:
            scale = scale if self.latent_input == "concat" else 1 / n_entries
            towers.append(_forward_tower(latent * scale + self.latent_bias, self.latent_tower))
        pair = torch.cat(towers, dim=2)
        for layer in self.joint[:-1]:
            pair = torch.relu(layer(pair))
        return self.joint[-1](pair)

    def _contexts(self, pair, batch, embeddings, left_out):
        """What means and variances attend to: for each row, and for each entry left out."""
        queries = pair @ self.attention_weight
        if self.attention_norm == "softmax":
            queries = queries / math.sqrt(queries.shape[2])
        if self.attention == "rated":
            contexts = [
                rated_attention(one, embeddings, batch, self.attention_norm, left_out)
                for one in queries
            ]
        else:  # who has rated what makes no difference
            contexts = [global_attention(one, embeddings, self.attention_norm) for one in queries]
            if left_out is not None:
                contexts = [(one, embedding(left_out.rows, one)) for one in contexts]
        if left_out is None:
            return [torch.stack(contexts)]
        return [torch.stack(parts) for parts in zip(*contexts, strict=True)]


def _forward_tower(first, tower):
    pair = torch.relu(first.view(len(first), 2, -1).transpose(0, 1))  # (2, n_rows, n_hidden)
    for layer in tower:
        pair = torch.relu(layer(pair))
    return pair


def _init_uniform(weight, fan_in, fan_out, generator):
    bound = math.sqrt(6 / (fan_in + fan_out))
    nn.init.uniform_(weight, -bound, bound, generator=generator)


def as_moments(mean, log_var):
    """Means and variances as arrays, from means and logarithms of variances as tensors."""
    return mean.cpu().numpy(), log_var.exp().cpu().numpy()

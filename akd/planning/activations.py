"""Activations: what a forward pass keeps for the backward pass.

Counted tensor by tensor, as Korthikanti et al. 2022 do ("Reducing Activation Recomputation in Large
Transformer Models", section 4.1), with two changes: attention is fused (Dao et al. 2022), so that
the matrix of its weights is kept only where some of them are dropped, and a frozen layer does not
keep its input, while an adapter keeps its own in float32. tests/planning/test_activations.py
compares the count with the tensors that autograd saves. Of Gemma 2, whose attention is not fused,
nearly half is missed.
"""

from akd.planning.inventory import Group, Inventory, Shape

_FLOAT32 = 4
_INSIDE = {"gelu_new": 4}
"""Tensors that an activation keeps beside its result; a fused one keeps its input alone."""


def saved_per_token(
    inventory: Inventory,
    size: int,
    length: int,
    *,
    layers: int,
    adapted: list[Group] | None,
    r: int,
    dropout: float,
) -> int:
    """Return the bytes that the blocks keep of one token.

    Args:
        size: bytes of a number that flows through the model, 2 or 4.
        length: tokens of its text, which matters only where attention weights are dropped.
        layers: how many blocks there are above the first that holds anything trained.
        adapted: what adapters read; None where every weight is trained.
        r: width inside an adapter.
        dropout: of the adapters' inputs.
    """
    shape = inventory.shape
    trained = adapted is None
    inputs = trained or (size == _FLOAT32 and not dropout)  # shared by the layers that read them
    block = _norms(shape, size, trained=trained) + 2 * size * shape.width * inputs
    block += _attention(shape, size, length, inputs=inputs) + _mlp(shape, size, inputs=inputs)
    if shape.dropout:
        block += 2 * size * shape.width  # masks
    own = 2 if dropout else int(size != _FLOAT32)  # mask and the rest, or a copy in float32
    adapters = sum(g.count * _FLOAT32 * (r + own * g.inputs) for g in adapted or [])
    return layers * block + adapters


def backward_workspace(inventory: Inventory, size: int, tokens: int, *, dequantised: int) -> int:
    """Return the bytes that come and go: gradients inside one MLP, and one matrix unpacked.

    Args:
        size: bytes of a number that flows through the model.
        tokens: of a whole batch.
        dequantised: bytes of a weight that is unpacked to be multiplied; 0 where none is packed.
    """
    largest = max(group.inputs * group.outputs for group in inventory.linear)
    wide = inventory.shape.intermediate * (3 if inventory.shape.gated else 2)
    return tokens * size * wide + largest * dequantised


def _norms(shape: Shape, size: int, *, trained: bool) -> int:
    """RMSNorm keeps its input in float32 and, if trained, its result before the scale."""
    if not shape.rms:
        return shape.norms * size * (shape.width + 2)
    total = shape.norms * (_FLOAT32 * (shape.width + 1) + size * shape.width * trained)
    if shape.head_norms:
        heads = shape.heads + shape.key_heads
        wide = shape.query + shape.key
        total += _FLOAT32 * (wide + heads) + size * wide * trained
    return total


def _attention(shape: Shape, size: int, length: int, *, inputs: bool) -> int:
    """Queries, keys, values and result; unfused also three matrices of weights, in float32."""
    projected = shape.query + 2 * shape.key
    if shape.attention_dropout:
        weights = 3 * shape.heads * length
        return _FLOAT32 * (projected + weights) + size * shape.query * inputs
    return size * (projected + shape.query) + _FLOAT32 * shape.heads


def _mlp(shape: Shape, size: int, *, inputs: bool) -> int:
    """Gate, its activation and what it multiplies, or what the activation keeps; and the result."""
    if shape.activation == "relu" and not shape.gated:
        return size * shape.intermediate  # the result is what ReLU keeps
    inside = 3 if shape.gated else _INSIDE.get(shape.activation, 1)
    return size * shape.intermediate * (inside + inputs)

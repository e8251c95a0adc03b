"""What vision transformers of timm and Hugging Face give, as outputs of ours.

The last axis of ours comes second: maps are [B, D, h, w].
"""


def _as_map(tokens, patch, x):
    """Tokens of the patches [B, T, D] as a map; others come first."""
    rows, columns = (n // patch for n in x.shape[2:])
    tokens = tokens[:, tokens.shape[1] - rows * columns :]
    return tokens.transpose(1, 2).unflatten(2, (rows, columns))


def _heard(call, x, modules, **more):
    """What a network gives, and what modules of it, by name, are given and give."""
    heard = {}

    def hear(name):
        return lambda _, given, found: heard.update({name: (given[0], found)})

    hooks = [one.register_forward_hook(hear(name)) for name, one in modules.items()]
    found = call(x, **more)
    for hook in hooks:
        hook.remove()
    return found, heard


def _of_tokens(tokens, prenorm, keys, attention, patch, x):
    """Outputs of ours, of tokens [B, T, D] and attention [B, heads, T, T]."""
    return {
        "embedding": _as_map(tokens, patch, x),
        "prenorm": _as_map(prenorm, patch, x),
        "keys": _as_map(keys, patch, x),
        "tokens": tokens.movedim(-1, 1),
        "attention11": attention.movedim(-1, 1),
    }


def timm_vit(net, x):
    modules = {"norm": net.norm, "qkv": net.blocks[-1].attn.qkv}
    tokens, heard = _heard(net.forward_features, x, modules)
    query, keys, _ = heard["qkv"][1].chunk(3, dim=-1)
    query, key = (y.unflatten(-1, (-1, 64)).transpose(1, 2) for y in (query, keys))
    attention = (query @ key.mT / 8).softmax(-1)
    patch = net.patch_embed.patch_size[0]
    return _of_tokens(tokens, heard["norm"][0], keys, attention, patch, x)


def hf_vit(net, x):
    last = {"key", "k_proj"}  # transformers 4, 5
    modules = {"norm": net.layernorm}
    for name, module in net.named_modules():
        if ".11." in name and name.rpartition(".")[2] in last:
            modules["key"] = module
    more = {"interpolate_pos_encoding": True} if "ViT" in type(net).__name__ else {}
    found, heard = _heard(net, x, modules, output_attentions=True, **more)
    return _of_tokens(
        found.last_hidden_state,
        heard["norm"][0],
        heard["key"][1],
        found.attentions[-1],
        net.config.patch_size,
        x,
    )

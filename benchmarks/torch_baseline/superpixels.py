"""Prototypes of masked examples and how they guide a query, as `ppcjax.ops` has it.

Everything runs on the device and for all examples at once: no step waits for the host.
No gradient passes through prototypes, so `prototypes` is under no_grad.
"""

import torch
from torch.nn import functional as F

from benchmarks.torch_baseline.layers import resize


def squared_distance(target: torch.Tensor) -> torch.Tensor:
    """Squared distance of each cell to the nearest cell of [N, h, w] bool; int64."""
    height, width = target.shape[1:]
    far = height + width
    row = torch.arange(height, device=target.device)[:, None]
    above = torch.where(target, row, -far).cummax(1).values
    below = torch.where(target, row, height + far).flip(1).cummin(1).values.flip(1)
    vertical = torch.minimum(row - above, below - row).clamp_max(far)
    column = torch.arange(width, device=target.device)
    horizontal = (column[:, None] - column) ** 2
    return (vertical[:, :, None] ** 2 + horizontal).amin(-1)


def place_seeds(mask: torch.Tensor, *, cells: int, largest: int):
    """Seeds far from the border of each object and from each other.

    Args:
        mask: [N, h, w] bool.
        cells: area of one superpixel.
        largest: S, most seeds of an object.

    Returns:
        (row, column) of the seeds [N, S, 2], 0 in empty slots, and their numbers [N].
    """
    number, height, width = mask.shape
    rows, columns = mask.any(2), mask.any(1)
    row = torch.arange(height, device=mask.device)
    column = torch.arange(width, device=mask.device)
    top, left = rows.int().argmax(1), columns.int().argmax(1)
    bottom = height - rows.flip(1).int().argmax(1)
    right = width - columns.flip(1).int().argmax(1)
    in_rows = (row >= top[:, None]) & (row < bottom[:, None])
    in_columns = (column >= left[:, None]) & (column < right[:, None])
    box = in_rows[:, :, None] & in_columns[:, None]
    corner = (row - top[:, None] + 1)[:, :, None] ** 2
    corner = corner + (column - left[:, None])[:, None] ** 2
    remaining, seeds = mask, []
    for _ in range(largest):
        outside = box & ~remaining
        some = outside.any(2).any(1)[:, None, None]
        distance = torch.where(some, squared_distance(outside), corner)
        seed = torch.where(remaining, distance, -1).flatten(1).argmax(1, keepdim=True)
        remaining = remaining.flatten(1).scatter(1, seed, False).view_as(mask)
        seeds.append(seed)
    seed = torch.cat(seeds, 1)
    area = mask.sum((1, 2))
    # torch.round gives halves to the even number, as wanted.
    count = (area / cells).round().long().clamp_max(largest)
    count = torch.where(count > 1, count, 0)
    used = torch.arange(largest, device=mask.device) < count[:, None]
    return torch.stack([seed // width, seed % width], -1) * used[..., None], count


def released_count(seeds: torch.Tensor) -> torch.Tensor:
    """How many seeds [N, S, 2] the released program counts: [N]."""
    return (seeds != 0).sum(1).amax(1)


def cluster(features, region, seeds, iterations: int):
    """Centres [N, S, D] of superpixels that start at seeds.

    Args:
        features: [N, D, h, w].
        region: [N, h, w] bool cells of the object.
        seeds: [N, S, 2] rows and columns.
        iterations: steps.
    """
    number, _, height, width = features.shape
    row = torch.arange(height, device=features.device).repeat_interleave(width)
    column = torch.arange(width, device=features.device).repeat(height)
    # A cell counts a tenth in the distance, and so does the square its hundredth.
    place = torch.stack([row, column], -1).to(features.dtype) / 10
    points = features.flatten(2).transpose(1, 2)
    points = torch.cat([points, place.expand(number, -1, -1)], -1)  # [N, P, D + 2]
    inside = region.flatten(1)[..., None]
    first = (seeds[..., 0] * width + seeds[..., 1])[..., None]
    centres = points.gather(1, first.expand(-1, -1, points.shape[-1]))
    exact = "donot_use_mm_for_euclid_dist"
    for _ in range(iterations):
        distance = torch.cdist(points, centres, compute_mode=exact)
        share = (-distance).masked_fill(~inside, -torch.inf).softmax(1)
        centres = share.transpose(1, 2) @ points
    return centres[..., :-2].nan_to_num()  # of an object without a cell: 0


@torch.no_grad()
def prototypes(features, mask, settings):
    """Prototypes [N, S, D] of masked examples, and which of them exist [N, S].

    Args:
        features: [N, D, h, w] float32.
        mask: [N, H, W], 1 on the object.
        settings: those of the config's method.
    """
    grid = features.shape[2:]
    mask = mask == 1
    weights = resize(mask[:, None].to(features.dtype), grid)[:, 0]
    small = shrink(mask, grid)
    seeds, count = place_seeds(
        small,
        cells=settings["superpixel_cells"],
        largest=settings["superpixels_at_most"],
    )
    if settings["seed_count"] == "released":
        count = released_count(seeds)
    steps = settings["iterations"][0]
    centres = cluster(features, weights >= 0.5, seeds, steps)
    mean = torch.einsum("nhw,ndhw->nd", weights, features)
    mean = mean / (weights.sum((1, 2))[:, None] + 5e-4)
    slot = torch.arange(centres.shape[1], device=centres.device)
    first = (slot == 0)[:, None]
    single = (count < 2)[:, None, None]
    centres = torch.where(single, torch.where(first, mean[:, None], 0.0), centres)
    valid = slot < count.clamp_min(1)[:, None]
    valid = valid & (weights > 0).any(2).any(1)[:, None]
    return torch.where(valid[..., None], centres, 0.0), valid


def shrink(mask, grid):
    """Rows floor(i H / h) and columns floor(j W / w) of [N, H, W]."""
    for axis, cells in enumerate(grid, 1):
        index = torch.arange(cells, device=mask.device) * mask.shape[axis] // cells
        mask = mask.index_select(axis, index)
    return mask


def allocate(query, centres, valid, *, prior: str):
    """The most similar prototype of each query cell, and similarity to the object.

    Args:
        query: [B, D, h, w] float32.
        centres: [B, S, D].
        valid: [B, S] bool.
        prior: "mean" or "sum" of the similarities.

    Returns:
        Guide [B, D, h, w], without a gradient, and prior [B, 1, h, w].
    """
    cells = query.flatten(2).transpose(1, 2)  # [B, P, D]
    similarity = F.normalize(cells, dim=-1, eps=1e-7) @ F.normalize(
        centres, dim=-1, eps=1e-7
    ).transpose(1, 2)
    here = valid[:, None]
    total = (similarity * here).sum(-1)
    if prior == "mean":
        total = total / here.sum(-1).clamp_min(1)
    index = similarity.detach().masked_fill(~here, -torch.inf).argmax(-1)
    guide = centres.gather(1, index[..., None].expand(-1, -1, centres.shape[-1]))
    shape = query.shape[2:]
    guide = guide.transpose(1, 2).unflatten(2, shape)
    return guide, total.view(len(query), 1, *shape)

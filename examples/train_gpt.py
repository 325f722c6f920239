"""Train a tiny GPT on token shards with plain PyTorch, on a CPU, and go on exactly after being killed.

    python examples/train_gpt.py out/shards --steps 200 --checkpoint gpt.pt

Prints one JSON line a step. Started again with the same arguments it reads the checkpoint and gives, from there on,
the losses that a run without a break gives. Every rank and worker of a larger job would take the same rows.
"""
# ruff: noqa: T201

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from shards.collate import block_diagonal_mask, shifted
from shards.loader import TokenShards
from shards.pytorch import ResumableLoader

COLUMNS = ("input_ids", "labels", "position_ids", "attention_mask")


class Block(nn.Module):
    """Attention within documents, and a two-layer network."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_network = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.network = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Shape (rows, length, width) in and out; mask as block_diagonal_mask gives it."""
        rows, length, width = x.shape
        parts = (
            self.qkv(self.before_attention(x)).view(rows, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        )
        seen = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=mask)
        x = x + self.out(seen.transpose(1, 2).reshape(rows, length, width))
        return x + self.network(self.before_network(x))


class GPT(nn.Module):
    """A small decoder; positions begin anew with every document."""

    def __init__(
        self, vocab_size: int, seq_len: int, width: int = 64, layers: int = 2, heads: int = 4
    ) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab_size, width), nn.Embedding(seq_len, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocab_size, bias=False)
        self.head.weight = self.tokens.weight
        for embedding in (self.tokens, self.positions):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, ids: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits of the token that follows each."""
        x = self.tokens(ids) + self.positions(positions)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


def prepare(batch: dict[str, Any]) -> dict[str, Any]:
    """Targets and mask of a batch; runs in the worker that made it."""
    made = shifted(batch)
    return {**made, "mask": block_diagonal_mask(made)}


def train(arguments: argparse.Namespace) -> None:
    """Steps from the checkpoint, if there is one, to the last."""
    torch.manual_seed(arguments.seed)
    data = TokenShards(
        arguments.shards,
        seq_len=arguments.seq_len,
        batch=arguments.batch,
        seed=arguments.seed,
        columns=COLUMNS,
        drop_last=True,
    )
    loader = ResumableLoader(data, arguments.workers, prepare)
    model = GPT(data.manifest.tokenizer.vocab_size, arguments.seq_len)
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.lr)
    step = 0
    if arguments.checkpoint.exists():
        saved = torch.load(arguments.checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        loader.load_state_dict(saved["loader"])
        step = saved["step"]
    while step < arguments.steps:
        for batch in loader:  # one epoch, or what is left of it
            logits = model(batch["input_ids"], batch["position_ids"], batch["mask"])
            loss = F.cross_entropy(logits.flatten(0, 1), batch["targets"].flatten(), ignore_index=-100)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            print(json.dumps({"step": step, "epoch": data.epoch, "loss": loss.item()}), flush=True)
            if step % arguments.save_every == 0 or step == arguments.steps:
                state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
                save(arguments.checkpoint, {**state, "loader": loader.state_dict(), "step": step})
            if step == arguments.steps:
                return


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint that is seen whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    torch.save(state, temporary)
    temporary.replace(path)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shards", help="folder (or URL) of token shards")
    parser.add_argument("--seq-len", type=int, default=1024, help="at least that of the shards")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--workers", type=int, default=0, help="processes that make batches")
    parser.add_argument("--save-every", type=int, default=20)
    parser.add_argument("--checkpoint", type=Path, default=Path("gpt.pt"))
    torch.set_num_threads(1)  # the sums of several threads depend on their number
    train(parser.parse_args())


if __name__ == "__main__":
    main()

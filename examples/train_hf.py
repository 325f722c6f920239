"""Train a tiny Llama on token shards with the Hugging Face Trainer, resuming with its own checkpoints.

    python examples/train_hf.py out/shards --output runs/llama --steps 200

The Trainer makes the batches and counts the steps itself; rows come in the order of the shards' seed because the
data set already has that order and the sampler is sequential. `--resume` goes on from its last checkpoint.
"""
# ruff: noqa: ARG002, T201

import argparse
import json
import math
from typing import Any

from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments, set_seed

from shards.loader import TokenShards
from shards.pytorch import PositionDataset

# Without attention_mask, transformers finds the documents of a row by its position_ids and keeps them apart.
COLUMNS = ("input_ids", "labels", "position_ids")


class PrintLoss(TrainerCallback):
    """One JSON line a step."""

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
    ) -> None:
        """What the Trainer calls after logging."""
        if logs and "loss" in logs:
            print(json.dumps({"step": state.global_step, "loss": logs["loss"]}), flush=True)


def make_trainer(arguments: argparse.Namespace) -> Trainer:
    """A Trainer whose rows are those of the shards, epoch after epoch, each in its own order."""
    set_seed(arguments.seed)
    data = TokenShards(arguments.shards, seq_len=arguments.seq_len, seed=arguments.seed, columns=COLUMNS)
    tokenizer = data.manifest.tokenizer
    config = LlamaConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=arguments.seq_len,
        bos_token_id=tokenizer.bos_id,
        eos_token_id=tokenizer.eos_id,
        pad_token_id=data.pad_id,
    )
    settings = TrainingArguments(
        output_dir=arguments.output,
        max_steps=arguments.steps,
        per_device_train_batch_size=arguments.batch,
        learning_rate=arguments.lr,
        lr_scheduler_type="constant",
        train_sampling_strategy="sequential",  # the data set has the order
        dataloader_num_workers=arguments.workers,
        logging_steps=1,
        save_steps=arguments.save_every,
        seed=arguments.seed,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
    )
    ranks = settings.world_size
    epochs = math.ceil(arguments.steps * arguments.batch * ranks / len(data))
    return Trainer(
        model=LlamaForCausalLM(config),
        args=settings,
        train_dataset=PositionDataset(data, epochs),
        callbacks=[PrintLoss()],
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shards", help="folder (or URL) of token shards")
    parser.add_argument("--output", default="runs/llama")
    parser.add_argument("--seq-len", type=int, default=1024, help="at least that of the shards")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--save-every", type=int, default=50)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --output")
    arguments = parser.parse_args()
    make_trainer(arguments).train(resume_from_checkpoint=arguments.resume or None)


if __name__ == "__main__":
    main()

"""How a folder of training data is laid out: the released code's folders, or shards of the same.

    DATA/gt/NAME.png                 the photograph's crop, HR         NAME.gt.png
    DATA/lr/NAME.png                 degraded, a quarter of the side   NAME.lr.png
    DATA/sr_bicubic/NAME.png         that enlarged back by bicubic     NAME.sr_bicubic.png
    DATA/prompt_txt/NAME.txt         what the HR crop shows            NAME.prompt.txt
    DATA/latent_hr/NAME.safetensors  latents of gt                     NAME.latent_hr.safetensors
    DATA/latent_lr/NAME.safetensors  latents of sr_bicubic             NAME.latent_lr.safetensors
    DATA/prompt_embeds/...           embeddings of the prompt          ...
    DATA/pooled_prompt_embeds/...    their pooled form                 ...
    DATA/null.safetensors            both of the empty prompt
    DATA/data.json                   the settings that all was made with

On the right the names in shards, `DATA/shard-00000.tar` and so on: webdataset's, so that its
library reads them, too. Therefore no NAME has a dot in it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the files that a sample has.

    Args:
        folder: that holds them.
        key: what follows the sample's name in a shard.
        tensor: the name of the tensor in it; empty: it is no tensor.
    """

    folder: str
    key: str
    tensor: str = ""

    @property
    def suffix(self) -> str:
        """Of the file in its folder."""
        return f".{self.key.rpartition('.')[2]}"

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of the files that are read: ours first, then the released code's."""
        return (self.suffix, RELEASED_SUFFIX) if self.tensor else (self.suffix,)

    def key_with(self, suffix: str) -> str:
        """The key of a file in a shard that has one of those suffixes."""
        return self.key.removesuffix(self.suffix) + suffix


GT = Kind("gt", "gt.png")
LR = Kind("lr", "lr.png")
SR_BICUBIC = Kind("sr_bicubic", "sr_bicubic.png")
PROMPT = Kind("prompt_txt", "prompt.txt")
LATENT_HR = Kind("latent_hr", "latent_hr.safetensors", "latent")
LATENT_LR = Kind("latent_lr", "latent_lr.safetensors", "latent")
PROMPT_EMBEDS = Kind("prompt_embeds", "prompt_embeds.safetensors", "prompt_embeds")
POOLED = Kind("pooled_prompt_embeds", "pooled_prompt_embeds.safetensors", "pooled_prompt_embeds")
KINDS = (GT, LR, SR_BICUBIC, PROMPT, LATENT_HR, LATENT_LR, PROMPT_EMBEDS, POOLED)
PAIR = (GT, LR, SR_BICUBIC)

NULL = "null.safetensors"
SETTINGS = "data.json"
SHARDS = "shard-*.tar"
RELEASED_SUFFIX = ".pt"
"""In which the released code keeps its tensors; read here, never written."""
RELEASED_NULL = "NULL_"
"""Begins the names under which it keeps the empty prompt's, among those of the samples."""


def shard_name(number: int) -> str:
    """`shard-00000.tar`."""
    return f"shard-{number:05}.tar"

"""Everything a training run can be told, as dataclasses; no torch here, so that a mistyped option answers at once.

Defaults are those of the published V1.2 fine-tuning run where it has them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from internvl.errors import InputError


@dataclass
class ModelConfig:
    """What is trained.

    Attributes:
        pretrained: checkpoint folder to start from, or hub:owner/name[@revision]; a run folder keeps the commit that
            was fetched first.
        vision_path: in place of `pretrained`: the folder or hub name of a vision tower, joined with `llm_path`.
        mlp_path: file of a projector for `vision_path` and `llm_path`; by default a new one.
        llm_path: in place of `pretrained`: the folder or hub name of a language model, joined with `vision_path`.
        freeze_backbone: keep the vision tower as it is.
        freeze_mlp: keep the projector as it is.
        freeze_llm: keep the language model as it is.
        unfreeze_vit_layers: train these blocks of a frozen vision tower: a start counted from the first block (12), or
            from the end (-8 for the last eight).
        unfreeze_lm_head: train the output matrix of a frozen language model; where it is the embedding matrix as well,
            that is trained in both uses.
        use_backbone_lora: rank of adapters on the vision tower, in place of training its weights; 0 for none.
        use_llm_lora: rank of adapters on the language model; 0 for none.
        lora_alpha: scale of the adapters; by default twice their rank.
        lora_dropout: dropout before the adapters.
        drop_path_rate: stochastic depth of the vision tower; frozen blocks have none.
        grad_checkpoint: compute activations again in the backward pass instead of keeping them, in all parts (true) or
            in one.
        vision_select_layer: hidden state of the vision tower that is used; by default the checkpoint's.
        force_image_size: side of a tile; for `vision_path`, else it must be the checkpoint's.
        down_sample_ratio: of the pixel shuffle; for `vision_path`, else it must be the checkpoint's.
        ps_version: of the pixel shuffle, v1 or v2; for `vision_path`, else it must be the checkpoint's.
        conv_style: chat template; by default the checkpoint's.
        attention: decoder attention; auto takes flash-attn when it is installed and there is a GPU.
    """

    pretrained: str = ""
    vision_path: str | None = None
    mlp_path: str | None = None
    llm_path: str | None = None
    freeze_backbone: bool = False
    freeze_mlp: bool = False
    freeze_llm: bool = False
    unfreeze_vit_layers: int = 0
    unfreeze_lm_head: bool = False
    use_backbone_lora: int = 0
    use_llm_lora: int = 0
    lora_alpha: int | None = None
    lora_dropout: float = 0.05
    drop_path_rate: float = 0.0
    grad_checkpoint: bool | Literal["vision", "llm"] = False
    vision_select_layer: int | None = None
    force_image_size: int | None = None
    down_sample_ratio: float | None = None
    ps_version: Literal["v1", "v2"] | None = None
    conv_style: str | None = None
    attention: Literal["auto", "sdpa", "flash_attention_2"] = "auto"

    def __post_init__(self) -> None:
        for name in ("use_backbone_lora", "use_llm_lora"):
            if getattr(self, name) < 0:
                raise InputError(f"model.{name}: expected a rank or 0, got {getattr(self, name)}; give 16, for example")
        for name in ("drop_path_rate", "lora_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"model.{name}: expected 0 or more and below 1, got {getattr(self, name)}; lower it")


@dataclass
class DataConfig:
    """What it is trained on.

    Attributes:
        meta_path: JSON file that names the annotation files (docs/data-format.md), or the manifest of a run.
        use_data_resampling: weigh the annotation files by the square roots of their sizes.
        index_cache: folder for the indexes of the annotation files; by default next to each.
        index_workers: processes that build an index; by default one per core for files that are not small.
        packing: join samples to packs of even work, without padding; false pads them to the longest.
        max_packed_tokens: most tokens of a pack; by default what per_device_batch_size asks for.
        max_packed_tiles: most tiles of a pack.
        group_by_length: with padding, samples of like length share a batch within their step.
        max_seq_length: longest sample in tokens; a longer one is cut at the end.
        dynamic_image_size: cut pictures into tiles; by default as the checkpoint says.
        use_thumbnail: after several tiles, the whole picture as one more.
        pad2square: pad pictures to squares; by default as the checkpoint says.
        min_dynamic_patch: fewest tiles per picture.
        max_dynamic_patch: most tiles per row's pictures, thumbnails not counted.
        resize: pillow gives the published pixels; torch is several times faster and changes a byte in 300 by 1 or 2.
        keep_truncated_pictures: read a picture file that is cut off as far as it goes, as published; by default its row
            is a bad one.
        min_num_frame: fewest frames of a video; how many are taken is drawn once per video.
        max_num_frame: most frames of a video.
        frame_sampling: which frames: a random one of each part (rand), the middle of each (middle), or a rate (fps1).
        loss_reduction: every answer token counts alike (token), every sample (sample), or in between (square: each
            sample by the square root of its answer tokens).
        max_bad_share: the run stops when more of its samples cannot be used.
        max_repetition: an answer in which more of its runs of ten words repeat makes a row bad; by default none does.
        num_workers: processes per rank that prepare rows.
    """

    meta_path: str = ""
    use_data_resampling: bool = False
    index_cache: str | None = None
    index_workers: int | None = None
    packing: bool = True
    max_packed_tokens: int | None = None
    max_packed_tiles: int = 48
    group_by_length: bool = False
    max_seq_length: int = 2048
    dynamic_image_size: bool | None = None
    use_thumbnail: bool | None = None
    pad2square: bool | None = None
    min_dynamic_patch: int | None = None
    max_dynamic_patch: int | None = None
    resize: Literal["pillow", "torch"] = "pillow"
    keep_truncated_pictures: bool = False
    min_num_frame: int = 8
    max_num_frame: int = 32
    frame_sampling: str = "rand"
    loss_reduction: Literal["token", "sample", "square"] = "token"
    max_bad_share: float = 0.01
    max_repetition: float | None = None
    num_workers: int = 2

    def __post_init__(self) -> None:
        if self.packing and self.group_by_length:
            raise InputError(
                "data.group_by_length: expected false with data.packing, got true; it groups padded batches, set "
                "--data.packing false to use it"
            )
        for name in ("max_bad_share", "max_repetition"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"data.{name}: expected a share from 0 to 1, got {value}; give a part of 1")
        for name, least in (("num_workers", 0), ("index_workers", 0), ("max_seq_length", 1), ("max_packed_tiles", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"data.{name}: expected at least {least}, got {value}; give a larger number")
        if self.packing and self.max_packed_tokens is not None and self.max_packed_tokens < self.max_seq_length:
            raise InputError(
                f"data.max_packed_tokens: expected at least data.max_seq_length ({self.max_seq_length}), got "
                f"{self.max_packed_tokens}; raise it, or lower the maximum length"
            )

    @property
    def tiling(self) -> dict[str, Any]:
        """The tiling options that were given, under the tiler's names."""
        given = {
            "dynamic": self.dynamic_image_size,
            "thumbnail": self.use_thumbnail,
            "pad_to_square": self.pad2square,
            "min_tiles": self.min_dynamic_patch,
            "max_tiles": self.max_dynamic_patch,
            "resize": self.resize,
            "refuse_truncated": not self.keep_truncated_pictures,
        }
        return {name: value for name, value in given.items() if value is not None}


@dataclass
class OptimConfig:
    """How it is trained.

    Attributes:
        learning_rate: peak learning rate.
        vision_learning_rate: of the vision tower; by default `learning_rate`.
        mlp_learning_rate: of the projector; by default `learning_rate`.
        llm_learning_rate: of the language model; by default `learning_rate`.
        vision_layer_decay: every block of the vision tower learns by this factor slower than the next one.
        final_ratio: the cosine ends at this share of the peak.
        warmup_ratio: share of all steps with a rising learning rate.
        warmup_steps: steps with a rising learning rate, in place of the share.
        weight_decay: of AdamW.
        decay: all parameters, as published, or matrices only (no norms, biases, scales).
        betas: of AdamW.
        eps: of AdamW.
        max_grad_norm: gradients are scaled down to this norm.
    """

    learning_rate: float = 1e-5
    vision_learning_rate: float | None = None
    mlp_learning_rate: float | None = None
    llm_learning_rate: float | None = None
    vision_layer_decay: float = 1.0
    final_ratio: float = 0.0
    warmup_ratio: float = 0.03
    warmup_steps: int | None = None
    weight_decay: float = 0.05
    decay: Literal["all", "matrices"] = "all"
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    max_grad_norm: float = 1.0


@dataclass
class EvalConfig:
    """What is measured while it trains.

    Attributes:
        meta_path: held-out rows, in a meta file; their loss is a curve.
        every_steps: how often it is measured.
        benchmarks: names for evaluate.sh, separated by commas; run on the exported model just as often.
    """

    meta_path: str | None = None
    every_steps: int = 200
    benchmarks: str | None = None


@dataclass
class FinetuneConfig:
    """One run of supervised fine-tuning.

    Attributes:
        model: what is trained.
        data: what it is trained on.
        optim: how it is trained.
        eval: what is measured meanwhile.
        output_dir: the run folder: checkpoints, TensorBoard log, merged config, exported model.
        batch_size: samples per optimiser step, over all devices.
        per_device_batch_size: samples per device and forward pass; packs hold as many tokens as these could have, and
            at most 16384 (data.max_packed_tokens sets them apart).
        num_train_epochs: passes over the data.
        max_steps: stop after this many optimiser steps instead.
        devices: how many per node, or auto: all GPUs, one CPU process, or what slurm or torchrun started.
        nodes: how many; slurm and torchrun know it themselves.
        strategy: how the devices share the training state: single, ddp, fsdp2, zero1, zero2, zero3, or a DeepSpeed
            JSON file; auto is ddp where there are several devices.
        offload: with zero1 to zero3, keep the optimizer (or, with zero3, parameters as well) in the memory of the host.
        precision: of Lightning's Trainer; auto is bf16-mixed on a GPU that has it, else 32-true.
        seed: of the order of samples and of everything random.
        save_steps: write a checkpoint every so many steps.
        save_total_limit: keep this many of them.
        log_steps: write a line and TensorBoard points every so many steps.
        export_dtype: of the exported model; auto is bfloat16 after a bf16 run, else float32.
        peak_tflops: of one device, for the share of it that is used; by default known GPUs only.
        overwrite: begin anew; by default a run goes on from its last checkpoint.
        resume_from: go on from this checkpoint in place of the run folder's last one.
        accept_changes: go on although options that change what is learned are others than at the checkpoint.
        dry_run: check everything, say what would be done, and stop.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    output_dir: str = "work_dirs/finetune"
    batch_size: int = 128
    per_device_batch_size: int = 4
    num_train_epochs: float = 1.0
    max_steps: int | None = None
    devices: int | Literal["auto"] = "auto"
    nodes: int = 1
    strategy: str = "auto"
    offload: Literal["none", "optimizer", "all"] = "none"
    precision: Literal["auto", "32-true", "bf16-mixed", "bf16-true"] = "auto"
    seed: int = 42
    save_steps: int = 200
    save_total_limit: int = 1
    log_steps: int = 1
    export_dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    peak_tflops: float | None = None
    overwrite: bool = False
    resume_from: str | None = None
    accept_changes: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        names = ("batch_size", "per_device_batch_size", "max_steps", "devices", "nodes", "save_steps", "log_steps")
        for name in (*names, "save_total_limit"):
            value = getattr(self, name)
            if isinstance(value, int) and value < 1:
                raise InputError(f"{name}: expected at least 1, got {value}; give a positive number")
        if self.num_train_epochs <= 0:
            raise InputError(f"num_train_epochs: expected more than 0, got {self.num_train_epochs}; give a part of 1")
        if self.strategy not in STRATEGIES and not self.strategy.endswith(".json"):
            raise InputError(
                f"strategy: expected {', '.join(STRATEGIES)} or a DeepSpeed JSON file, got {self.strategy}; choose one"
            )
        if self.data.max_packed_tokens is None:
            asked = self.per_device_batch_size * self.data.max_seq_length
            self.data.max_packed_tokens = min(asked, max(16384, self.data.max_seq_length))


STRATEGIES = ("auto", "single", "ddp", "fsdp2", "zero1", "zero2", "zero3")

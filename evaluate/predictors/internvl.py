"""InternVL-Chat checkpoints: exported folders and OpenGVLab folders, here or on the hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluate.fingerprint import identify_files, name_results
from evaluate.predictor import PredictorInfo
from evaluate.preview import Preview, Seen, collapse
from evaluate.processes import find_place
from evaluate.sample import Generation
from evaluate.token_gauge import TokenGauge
from internvl.errors import InputError
from internvl.folder import check_folder, read_config, weight_files
from internvl.hub import find_folder
from internvl.tokens import IMAGE_CONTEXT

if TYPE_CHECKING:
    from torch import Tensor

    from internvl.conversation import Conversation
    from internvl.processor import InternVLProcessor, Prompt


class PromptProcessor(TokenGauge):
    """What worker processes get of a predictor: it prepares prompts, measures them, and does not hold the model."""

    def __init__(self, owner: InternVLProcessor) -> None:
        super().__init__(owner.tokenizer)
        self.owner = owner

    def __call__(self, chat: Conversation) -> Prompt:
        """Prepare one prompt."""
        return self.owner.prompt(chat)

    def count(self, chat: Conversation) -> int:
        """Tokens of the whole prompt."""
        return self.owner.count(chat)


class InternVLPredictor:
    """A checkpoint on one device or several: bf16 where the GPU has it, float32 on the CPU."""

    def __init__(self, folder: Path, *devices: Any) -> None:
        import torch
        from transformers.utils import logging

        from evaluate.budget import Budget
        from evaluate.placement import choose_dtype
        from internvl.model import load_model
        from internvl.model.decode import measure_context
        from internvl.processor import InternVLProcessor

        logging.disable_progress_bar()
        self.chat_processor = InternVLProcessor.from_pretrained(folder)
        self.processor = PromptProcessor(self.chat_processor)
        places = [torch.device(device) for device in devices]
        self.device = places[0]
        dtype = choose_dtype(self.device)
        self.precision = str(dtype).removeprefix("torch.")
        self.model = load_model(folder, dtype=dtype, devices=places)
        self.context, self.alike = measure_context(self.model.config.llm_config.to_dict())
        self.budget = Budget.measure(self.model, self.device)
        self._seen: dict[int, tuple[Tensor, Tensor]] = {}

    def measure(self, prompt: Prompt) -> int:
        """Tokens of a prompt, the visual ones included."""
        return len(prompt.input_ids)

    def fits(self, rows: int, longest: int, generation: Generation) -> bool:
        """Whether the memory of the device is enough for a batch."""
        return self.budget.fits(rows, longest + generation.max_new_tokens, generation.num_beams)

    def generate(self, batch: Sequence[Prompt], generation: Generation) -> list[str | InputError]:
        """Greedy or beam search on a left-padded batch; one prompt where tokens are drawn."""
        answers: list[str | InputError] = [""] * len(batch)
        together: list[int] = []
        for place, prompt in enumerate(batch):
            length = len(prompt.input_ids) + generation.max_new_tokens
            if self.context is not None and length > self.context:
                answers[place] = InputError(
                    f"length: expected at most {self.context} tokens with the {generation.max_new_tokens} of the "
                    f"answer, got {length}; allow fewer tiles or pictures"
                )
            elif self.alike is not None and length > self.alike:
                [answers[place]] = self._answer([prompt], generation, alone=True)
            else:
                together.append(place)
        texts = self._answer([batch[place] for place in together], generation) if together else []
        for place, text in zip(together, texts, strict=True):
            answers[place] = text
        return answers

    def _answer(self, prompts: Sequence[Prompt], generation: Generation, *, alone: bool = False) -> list[str]:
        """Texts of prompts that can share a batch; `alone` is one that is longer than the model was trained for."""
        import torch

        from internvl.model.decode import DECODERS, decode_greedily, forget_length

        forget_length(self.model.language_model)
        width = max(len(prompt.input_ids) for prompt in prompts)
        ids = torch.full((len(prompts), width), self.chat_processor.pad_id)
        mask = torch.zeros((len(prompts), width), dtype=torch.bool)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt.input_ids) :] = torch.tensor(prompt.input_ids)
            mask[row, width - len(prompt.input_ids) :] = True
        pictures = self._encode([tiles for prompt in prompts for tiles in prompt.pictures])
        with torch.inference_mode():
            embeds = self.model.fill(ids.to(self.device), pictures)
        mask = mask.to(self.device)
        kind = self.model.config.llm_config.model_type
        stop, pad = self.chat_processor.stop_id, self.chat_processor.pad_id
        if generation.num_beams == 1 and not generation.draws and kind in DECODERS and not alone:
            limits = {"max_new_tokens": generation.max_new_tokens, "min_new_tokens": generation.min_new_tokens}
            rows = decode_greedily(self.model.language_model, embeds, mask, **limits, stop_id=stop)
        else:
            if generation.draws:
                torch.manual_seed(generation.seed)
            options = generation.options() | {"eos_token_id": stop, "pad_token_id": pad}
            with torch.no_grad():
                found = self.model.language_model.generate(inputs_embeds=embeds, attention_mask=mask.long(), **options)
            rows = found.tolist()
        return [self.chat_processor.decode(row) for row in rows]

    def _encode(self, pictures: Sequence[Tensor]) -> list[Tensor]:
        """Visual tokens of each picture; a picture of this batch or the one before it is encoded once."""
        import torch

        asked = {id(tiles): tiles for tiles in pictures}
        # Copies, or a single picture would keep the tokens of a whole batch.
        self._seen = {key: (tiles, tokens.clone()) for key, (tiles, tokens) in self._seen.items() if key in asked}
        new = [tiles for key, tiles in asked.items() if key not in self._seen]
        if new:
            each = [tile for tiles in new for tile in tiles]
            encoded: Any = None
            for start in range(0, len(each), self.budget.tiles):
                part = torch.stack(each[start : start + self.budget.tiles])
                with torch.inference_mode():
                    tokens = self.model.encode_images(part.to(self.device))
                    encoded = tokens.new_empty((len(each), *tokens.shape[1:])) if encoded is None else encoded
                    encoded[start : start + len(part)] = tokens
            # The tiles are kept too, so that no other tensor gets their number.
            found = zip(new, encoded.split([len(tiles) for tiles in new]), strict=True)
            self._seen |= {id(tiles): (tiles, tokens) for tiles, tokens in found}
        return [self._seen[id(tiles)][1] for tiles in pictures]


def describe(argument: str) -> PredictorInfo:
    """Check the folder; the name is its last parts, as in the published result files."""
    folder = check_folder(find_folder(argument, refresh=find_place().may_fetch))
    return PredictorInfo(name_results(argument, folder), identify_files(list_settings(folder), weight_files(folder)))


def preview(argument: str) -> Preview:
    """The prompts of a checkpoint, without its weights."""
    from internvl.model import InternVLChatConfig
    from internvl.model.decode import measure_context
    from internvl.processor import InternVLProcessor

    folder = find_folder(argument)
    if not (folder / "config.json").is_file():
        check_folder(folder)  # says what is missing; weights may be
    owner = InternVLProcessor.from_pretrained(folder)

    def read(prompt: Prompt) -> Seen:
        text = collapse(owner.tokenizer, prompt.input_ids, IMAGE_CONTEXT)
        return Seen(text, len(prompt.input_ids), tuple(map(len, prompt.pictures)))

    language = InternVLChatConfig.from_dict(read_config(folder)).llm_config.to_dict()
    return Preview(PromptProcessor(owner), read, measure_context(language)[0])


def list_settings(folder: Path) -> list[Path]:
    """Files beside the weights that decide what the model reads and says."""
    names = (
        "config.json",
        "*token*",
        "vocab.json",
        "merges.txt",
        "*.model",
        "*processor_config.json",
        "adapter_config.json",
    )
    return sorted({file for name in names for file in folder.glob(name) if file.is_file()})


def load(argument: str, *devices: Any) -> InternVLPredictor:
    """Load the checkpoint onto the device, or spread it over several."""
    return InternVLPredictor(check_folder(find_folder(argument, refresh=False)), *devices)


def weigh(argument: str) -> int:
    """Bytes of the weights on GPUs."""
    import torch

    from evaluate.placement import choose_dtype, weigh_folder

    return weigh_folder(check_folder(find_folder(argument, refresh=False)), choose_dtype(torch.device("cuda")))

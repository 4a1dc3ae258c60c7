"""The model: InternViT, projector and language model, registered with transformers as `internvl_chat`.

Importing this package registers the two configuration and model classes (the one effect an import has in this project),
so that `AutoConfig` and `AutoModel` know them without `trust_remote_code`.
"""

from transformers import AutoConfig, AutoModel

from internvl.model.chat import InternVLChatModel
from internvl.model.checkpoint import load_model
from internvl.model.configuration import InternVisionConfig, InternVLChatConfig
from internvl.model.vision import InternVisionModel

__all__ = ["InternVLChatConfig", "InternVLChatModel", "InternVisionConfig", "InternVisionModel", "load_model"]

AutoConfig.register(InternVisionConfig.model_type, InternVisionConfig, exist_ok=True)
AutoConfig.register(InternVLChatConfig.model_type, InternVLChatConfig, exist_ok=True)
AutoModel.register(InternVisionConfig, InternVisionModel, exist_ok=True)
AutoModel.register(InternVLChatConfig, InternVLChatModel, exist_ok=True)

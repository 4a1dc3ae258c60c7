"""InternVL-Chat as a library: conversations, chat templates, tiling, the processor and the model.

Names are loaded on first use, so that `import internvl.conversation` does not pay for torch.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "Conversation": "internvl.conversation",
    "Turn": "internvl.conversation",
    "ChatTemplate": "internvl.template",
    "find_template": "internvl.template",
    "ImageTiler": "internvl.tiler",
    "InternVLProcessor": "internvl.processor",
    "InternVLChatConfig": "internvl.model",
    "InternVLChatModel": "internvl.model",
    "InternVisionModel": "internvl.model",
}
__all__ = sorted(_HOME)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'internvl' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOME[name]), name)

"""Application 1: supervised fine-tuning. `python -m train --help` shows every option."""

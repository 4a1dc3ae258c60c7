"""The Inst-It Dataset as training conversations: annotations of marked pictures and frames to rows."""

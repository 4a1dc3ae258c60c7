"""One protocol of judging per file: what the judge is asked, and when its reply is a verdict."""

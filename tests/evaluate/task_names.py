"""The task names that the script of InternVL v1.2.2 takes, and below `data/` the first file that each asks about."""

from __future__ import annotations

_CAPTIONS = {
    "caption-coco": "coco/annotations/coco_karpathy_test.json",
    "caption-flickr30k": "flickr30k/flickr30k_test_karpathy.json",
    "caption-nocaps": "nocaps/nocaps_val_4500_captions.json",
}
_VQA = {
    "vqa-okvqa-val": "okvqa/okvqa_val.jsonl",
    "vqa-textvqa-val": "textvqa/textvqa_val_llava.jsonl",
    "vqa-vizwiz-val": "vizwiz/vizwiz_val.jsonl",
    "vqa-ai2d-test": "ai2diagram/test.jsonl",
    "vqa-gqa-testdev": "gqa/llava_gqa_testdev_balanced_qwen_format.jsonl",
}
_CHARTQA = {
    "vqa-chartqa-test-human": "chartqa/test_human.jsonl",
    "vqa-chartqa-test-augmented": "chartqa/test_augmented.jsonl",
}
_BOXES = (
    *(f"refcoco/{name}_{part}.jsonl" for name in ("refcoco", "refcoco+") for part in ("val", "testA", "testB")),
    *("refcoco/refcocog_val.jsonl", "refcoco/refcocog_test.jsonl"),
)
_OTHERS = {
    "vqa-vqav2-val": "vqav2/vqav2_val.jsonl",
    "vqa-vqav2-testdev": "vqav2/vqav2_testdev.jsonl",
    "vqa-vizwiz-test": "vizwiz/vizwiz_test.jsonl",
    "vqa-docvqa-val": "docvqa/val.jsonl",
    "vqa-docvqa-test": "docvqa/test.jsonl",
    "vqa-ocrvqa-val": "ocrvqa/ocrvqa_val.jsonl",
    "vqa-ocrvqa-test": "ocrvqa/ocrvqa_test.jsonl",
    "scienceqa": "scienceqa/scienceqa_test_img.jsonl",
    "refcoco-val": "refcoco/refcoco_val.jsonl",
    "mme": "mme/Your_Results/existence.txt",
    "mmbench-dev-en": "mmbench/mmbench_dev_20230712.tsv",
    "mmbench-dev-cn": "mmbench/mmbench_dev_cn_20231003.tsv",
    "mmbench-test-en": "mmbench/mmbench_test_en_20231003.tsv",
    "mmbench-test-cn": "mmbench/mmbench_test_cn_20231003.tsv",
    "pope": "pope/llava_pope_test.jsonl",
    "mmmu-dev": "MMMU/Accounting/dev-00000-of-00001.parquet",
    "mmmu-val": "MMMU/Accounting/validation-00000-of-00001.parquet",
    "mmmu-test": "MMMU/README.md",
    "tiny_lvlm": "tiny_lvlm/updated_datasets/Visual_Reasoning/dataset.json",
    "mmvp": "MMVP/Questions.csv",
    "mathvista-testmini": "MathVista/annot_testmini.json",
    "mathvista-test": "MathVista/README.md",
    "seed": "SEED/seed.jsonl",
    "llava-bench": "llava-bench-in-the-wild/questions.jsonl",
    "mmvet": "mm-vet/mm-vet.json",
}
PUBLISHED: dict[str, tuple[str, ...]] = {
    **{name: (file,) for name, file in {**_CAPTIONS, **_VQA, **_CHARTQA, **_OTHERS}.items()},
    "caption": tuple(_CAPTIONS.values()),
    "vqa": tuple(_VQA.values()),
    "vqa-chartqa-test": tuple(_CHARTQA.values()),
    "refcoco": _BOXES,
    # The six files of the published script are not known; the two splits of the release stand for them.
    "cmmmu": ("CMMMU/art_and_design/val-00000-of-00001.parquet", "CMMMU/README.md"),
}
JUDGED = {"llava-bench", "mmvet", "mathvista-testmini"}
"""Those of them that need a judge."""
LATER = {
    *("vqa-textvqa-val-ocr", "vqa-infovqa-val", "vqa-infovqa-test", "refcoco-testA", "refcoco-testB", "ccbench-dev"),
    *("refcoco+-val", "refcoco+-testA", "refcoco+-testB", "refcocog-val", "refcocog-test"),
}
"""Names that came in 2025."""

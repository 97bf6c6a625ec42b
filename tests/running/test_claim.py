"""What a new run records of itself."""

import shlex

from srexp.running.claim import typed_line


def test_what_was_typed_is_recorded_whole_and_for_a_shell() -> None:
    given = [f"trainer.threads={n}" for n in range(1, 20)]
    given += ["metric=[mae,ms_ssim]", "data.train_dir='it''s here'", "loss=mae"]
    line = typed_line([*given, "paths.output_dir=/x", "tracking=none", "tracking.uri=sqlite:///x"])
    assert shlex.split(line) == given

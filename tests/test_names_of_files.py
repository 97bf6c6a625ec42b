"""Names of images and methods as names of files."""

from __future__ import annotations

import pytest

from srexp.files import file_name, write_atomically


@pytest.mark.parametrize("name", ["baby", "a=b,c", "ünï 東京", "100%", "dot.dot.v2", "-dash", "😀"])
def test_what_a_file_may_be_called_stays(name):
    assert file_name(name) == name


@pytest.mark.parametrize("name", ["x:y", "a/b", "a\\b", "what?", "..", ".hidden", "end.", "a\nb"])
def test_what_it_may_not_becomes_a_name_of_its_own(tmp_path, name):
    plain = file_name(name)
    assert not set(plain) & set('/\\:*?"<>|\n') and plain[0] != "." and plain[-1] not in ". "
    # The name without the digits is another one's.
    assert file_name(plain[:-7]) == plain[:-7] != plain


@pytest.mark.parametrize("letter", ["n", "é", "東", "😀"])
def test_long_names_fit_and_stay_apart(tmp_path, letter):
    names = [letter * count + end for count in (150, 250) for end in "ab"]
    for name in names:
        write_atomically(tmp_path / f"{file_name(name)}.png", b"")
    assert len(list(tmp_path.iterdir())) == len(names)

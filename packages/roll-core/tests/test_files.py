"""Uploaded files: each reads as one of its own, wherever its bytes are."""

import hashlib
import io
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from roll.forms.files import Content, Disk, File

KIB = 1024


def make(content, disk=None, spool=10):
    raw = Content(disk or Disk(1000), spool)
    for start in range(0, len(content), 7000):
        raw.add(content[start : start + 7000])
    return File("a.txt", "text/plain", raw)


@given(
    content=st.binary(max_size=40),
    spool=st.integers(0, 40),
    calls=st.lists(
        st.tuples(st.just("read"), st.integers(-1, 50))
        | st.tuples(st.just("readline"))
        | st.tuples(st.just("seek"), st.integers(0, 50))
        | st.tuples(st.just("seek"), st.integers(-5, 5), st.just(os.SEEK_CUR))
        | st.tuples(st.just("seek"), st.integers(-50, 5), st.just(os.SEEK_END))
        | st.tuples(st.just("tell")),
    ),
)
def test_a_file_reads_as_any_other(content, spool, calls):
    disk = Disk(1000)
    with (
        make(b"before" * 10, disk),
        make(content, disk, spool) as file,
        tempfile.TemporaryFile() as same,
    ):
        same.write(content)
        same.seek(0)
        for name, *arguments in calls:
            found = []
            for one in (file, same):
                try:
                    found.append(getattr(one, name)(*arguments))
                except (OSError, ValueError):
                    found.append("refused")
            assert found[0] == found[1]


def test_it_can_be_read_as_text_and_hashed():
    content = b"one\ntwo\n" * 5000
    with make(content) as file:
        assert (
            hashlib.file_digest(file, "md5").digest() == hashlib.md5(content).digest()
        )
        file.seek(0)
        assert list(io.TextIOWrapper(file)) == ["one\n", "two\n"] * 5000


def test_files_of_one_disk_are_read_in_threads():
    disk = Disk(1000)
    contents = [bytes([number]) * 100_000 for number in range(8)]
    files = [make(content, disk) for content in contents]

    def read(file):
        return b"".join(iter(lambda: file.read(100), b""))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, files)) == contents
    for file in files:
        file.close()


def test_a_closed_file_cannot_be_read():
    for spool in (1, 100):
        file = make(b"content", spool=spool)
        file.close()
        file.content.close()
        for call in (file.read, lambda file=file: file.seek(0), file.content.readall):
            with pytest.raises(ValueError, match="closed"):
                call()
        with pytest.raises(ValueError, match="closed"):
            file.content.seek(0)


def test_a_disk_is_opened_again_for_who_comes_when_all_have_left():
    disk = Disk(1000)
    for _ in range(2):
        with make(b"x" * 100, disk) as file:
            assert file.content.on_disk
            assert file.read() == b"x" * 100


def test_files_that_are_many_for_memory_go_to_disk():
    disk = Disk(25)
    files = [make(b"x" * 10, disk) for _ in range(4)]
    assert [file.content.on_disk for file in files] == [False, False, True, True]
    assert [file.read() for file in files] == [b"x" * 10] * 4


def test_what_a_file_had_in_memory_is_free_for_others_once_it_is_on_disk():
    disk = Disk(25)
    file = Content(disk, 20)
    file.add(b"x" * 20)
    assert disk.memory == 5
    file.add(b"x")
    assert (disk.memory, file.on_disk, file.readall()) == (25, True, b"x" * 21)

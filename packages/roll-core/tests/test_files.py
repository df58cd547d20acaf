"""Uploaded files: each reads as one of its own, wherever its bytes are."""

import hashlib
import io
import os
import tempfile
import threading
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


# Saved


@pytest.mark.parametrize("content", [b"", b"small", b"large" * 100_000])
@pytest.mark.parametrize("read", [0, 3, -1])
async def test_all_of_a_file_is_saved_whatever_was_read(tmp_path, content, read):
    path = tmp_path / "b.txt"
    with make(content) as file:
        file.read(read)
        await file.save(path)
        assert path.read_bytes() == content
        assert file.read() == b""
        await file.save(str(path))
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["b.txt"]


async def test_a_saved_file_replaces_another_and_may_be_read_as_any_new_one(tmp_path):
    path = tmp_path / "b.txt"
    path.write_bytes(b"long before")
    mode = path.stat().st_mode
    with make(b"new") as file:
        await file.save(path)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode == mode


async def test_a_file_that_cannot_be_saved_leaves_nothing_behind(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    old = tmp_path / "old.txt"
    old.write_bytes(b"old")
    with make(b"content") as file:
        with pytest.raises(FileNotFoundError):
            await file.save(tmp_path / "missing" / "b.txt")
        with pytest.raises(OSError, match="folder"):
            await file.save(folder)
    with pytest.raises(ValueError, match="closed"):
        await file.save(old)
    assert old.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["folder", "old.txt"]


async def test_a_file_is_saved_off_the_loop(tmp_path):
    threads = []

    class Watched(File):
        def seek(self, *arguments):
            threads.append(threading.current_thread())
            return super().seek(*arguments)

    with Watched("a.txt", "text/plain", make(b"content").detach()) as file:
        await file.save(tmp_path / "b.txt")
    assert threads[0] is not threading.main_thread()


async def test_a_file_of_a_form_is_saved_by_a_view(client, app, tmp_path):
    @app.route("/", methods=["POST"], lazy_body=True)
    async def view(request, response):
        await request.load_form()
        await request.files.get("file").save(tmp_path / "b.bin")

    content = os.urandom(1_000_000)
    assert (await client.post("/", files={"file": content})).status == 200
    assert (tmp_path / "b.bin").read_bytes() == content

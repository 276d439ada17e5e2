"""What earlier checks found is kept whole or not at all."""

import pytest

from runtime.checkcache import LARGEST, CheckCache, digest, overrides, program_digest


@pytest.fixture
def file(tmp_path):
    cache = CheckCache(tmp_path)
    cache.put("a", {"x": [1, "二"]})
    cache.save()
    return tmp_path / ".journeyd" / "cache" / "check.json"


def kept(folder, key="a"):
    return CheckCache(folder).get(key)


def test_what_is_kept_comes_back_in_the_next_check(file, tmp_path):
    assert kept(tmp_path) == {"x": [1, "二"]}


def test_git_does_not_see_it(file, tmp_path):
    assert (tmp_path / ".journeyd" / ".gitignore").read_text(encoding="utf-8").endswith("*\n")


DAMAGE = {
    "cut": lambda raw: raw[:-1],
    "a letter": lambda raw: raw.replace(b"1", b"2"),
    "nothing": lambda _: b"",
    "noise": lambda _: b"\x00\xff" * 50,
    "more": lambda raw: raw + b" ",
    "no digest": lambda _: b"no\n{}",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_counts_as_empty_and_is_made_anew(file, tmp_path, damage):
    file.write_bytes(damage(file.read_bytes()))
    cache = CheckCache(tmp_path)

    assert cache.get("a") is None
    cache.put("b", 2)
    cache.save()
    assert kept(tmp_path, "b") == 2


def test_a_file_that_holds_something_else_counts_as_empty(file, tmp_path):
    file.write_bytes(digest(b"[1]").encode() + b"\n[1]")

    assert kept(tmp_path) is None


def test_of_two_checks_at_once_one_is_kept_whole(tmp_path):
    one, other = CheckCache(tmp_path), CheckCache(tmp_path)
    one.put("a", 1)
    other.put("b", 2)

    one.save()
    other.save()

    assert (kept(tmp_path, "a"), kept(tmp_path, "b")) == (None, 2)
    assert [path.name for path in (tmp_path / ".journeyd" / "cache").iterdir()] == ["check.json"]


def test_it_does_not_grow_for_ever(tmp_path):
    for n in range(3):
        cache = CheckCache(tmp_path)
        for k in range(3_000):
            cache.put(f"{n} {k}", k)
        cache.save()

    cache = CheckCache(tmp_path)
    assert (cache.get("0 1"), cache.get("1 2999"), cache.get("2 2999")) == (None, None, 2999)
    assert (tmp_path / ".journeyd" / "cache" / "check.json").stat().st_size < 100_000 < LARGEST


def test_without_a_folder_or_where_nothing_can_be_written_nothing_is_kept(tmp_path):
    (tmp_path / ".journeyd").write_text("a file stands where the folder should be", encoding="utf-8")
    for folder in (None, tmp_path):
        cache = CheckCache(folder)
        cache.put("a", 1)
        cache.save()

    assert kept(tmp_path) is None


def test_a_check_that_runs_on_has_what_it_found_itself(tmp_path):
    cache = CheckCache(None)
    cache.put("a", (1, 2))
    cache.save()

    assert cache.get("a") == [1, 2]


def test_a_digest_tells_where_a_part_ends():
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("a") == digest(b"a")


def test_the_program_is_the_same_while_nothing_is_installed_or_edited():
    assert program_digest() == program_digest()


def test_of_the_environment_what_overrides_the_config_counts():
    environment = {"JOURNEYD_POLICY__HOLDOUT": "5%", "journeyd_language": "zh", "PATH": "/bin"}

    assert overrides(environment) == ("JOURNEYD_POLICY__HOLDOUT=5%", "journeyd_language=zh")

"""A check of a project: what has not changed is not looked at again, and nothing is ever told that is not so any more."""

import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.checking import Checker
from runtime.settings import ConfigError
from tests.shop import AUDIENCE, CONFIG

JOURNEY = """\
id: {id}
name: 问候
owner: growth
status: live
purpose: service
entry: {{event: order_paid}}
steps:
  - id: hello
    send: [{{push: {{title: {title}, body: 谢谢}}}}]
  - if: in_journey('{other}') and user.city == '上海'
    exit: twice
tests:
  - name: 问候一次
    expect: [{{after: 0s, send: push, contains: {wanted}}}, {{after: 0s, end: completed}}]
"""


def write(folder, name, *, id="", title="您好", other="", wanted="您好"):  # noqa: A002 - the file's own key
    text = JOURNEY.format(id=id or name, title=title, other=other or name, wanted=wanted)
    (folder / "journeys" / f"{name}.yaml").write_text(text, encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "journeys").mkdir()
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "journeys" / "audience.yaml").write_text(AUDIENCE, encoding="utf-8")
    write(tmp_path, "one")
    write(tmp_path, "two", other="one")
    return tmp_path


def check(folder, **how):
    return Checker(folder, workers=1, **how).check()


def lines(checked):
    return [finding.line("zh") for finding in checked.findings]


def names(checked):
    return {path.rsplit("/", 1)[-1] for path in checked.fresh}


def test_the_second_check_looks_at_nothing_and_says_the_same(folder):
    first, second = check(folder), check(folder)

    assert names(first) == {"one.yaml", "two.yaml"}
    assert names(second) == set()
    assert (lines(second), second.tests, second.files) == (lines(first), first.tests, first.files) == ([], 2, first.files)


def test_one_edit_is_one_file_to_look_at(folder):
    check(folder)
    write(folder, "two", other="one", title="晚上好")

    checked = check(folder)

    assert names(checked) == {"two.yaml"}
    assert [finding.code for finding in checked.findings] == ["J111"]


def test_a_failing_test_is_told_with_its_timelines_from_the_cache_too(folder):
    write(folder, "one", wanted="再见")

    first, second = check(folder), check(folder)

    assert names(second) == set()
    assert second.files == first.files
    assert [row.mark for row in second.files[0].tests[0].rows] == ["-", "+", " "]


def test_a_journey_that_goes_takes_its_name_with_it(folder):
    check(folder)
    (folder / "journeys" / "one.yaml").unlink()

    assert [finding.code for finding in check(folder).findings] == ["J032"]


def test_the_same_file_under_another_name_is_another_file(folder):
    check(folder)
    (folder / "journeys" / "one.yaml").rename(folder / "journeys" / "new.yaml")

    assert [finding.code for finding in check(folder).findings] == ["J011"]


def test_of_two_files_with_one_id_the_second_is_looked_at_again_when_the_first_goes(folder):
    write(folder, "two", id="one", other="one")
    both = [finding.code for finding in check(folder).findings]
    (folder / "journeys" / "one.yaml").unlink()

    assert (both, [finding.code for finding in check(folder).findings]) == (["J010"], ["J011"])


def test_without_tests_none_is_run_and_with_them_again_they_are(folder):
    write(folder, "one", wanted="再见")

    assert (check(folder, tests=False).tests, lines(check(folder, tests=False))) == (0, [])
    assert [finding.code for finding in check(folder).findings] == ["J111"]


def test_a_mistake_in_one_file_does_not_keep_the_tests_of_another_from_running(folder):
    write(folder, "two", other="nobody")

    checked = check(folder)

    assert ([finding.code for finding in checked.findings], checked.tests) == (["J032"], 1)


def test_while_the_audience_has_an_error_no_test_is_run_and_only_the_error_is_told(folder):
    of_a_segment = AUDIENCE.replace("  buyers:", "  back: {name: 该回来了, when: segment('dormant') and has_tag('vip')}\n  buyers:")
    wrong = of_a_segment.replace("last_order_at: {type: time", "last_order_at: {type: text")
    (folder / "journeys" / "audience.yaml").write_text(wrong, encoding="utf-8")
    one = folder / "journeys" / "one.yaml"
    one.write_text(one.read_text(encoding="utf-8").replace("expect:", "user: {last_order_at: 3d ago}\n    expect:"), encoding="utf-8")

    checked = check(folder)

    assert ({finding.place.file.rsplit("/", 1)[-1] for finding in checked.findings}, checked.tests) == ({"audience.yaml"}, 0)
    assert [finding.code for finding in checked.findings if finding.code not in ("J043", "J102")] == []


def test_the_config_is_part_of_what_was_checked(folder):
    check(folder)
    (folder / "config.toml").write_text(CONFIG + '\n[policy]\nquiet_hours = "09:00-21:00"\n', encoding="utf-8")

    assert names(check(folder)) == {"one.yaml", "two.yaml"}


def test_another_program_believes_nothing_of_before(folder):
    check(folder)
    checker = Checker(folder, workers=1)
    checker.program = "another version"

    assert names(checker.check()) == {"one.yaml", "two.yaml"}


def test_without_a_cache_everything_is_looked_at_and_nothing_is_left_behind(folder):
    check(folder, keep=False)

    assert names(check(folder, keep=False)) == {"one.yaml", "two.yaml"}
    assert not (folder / ".journeyd").exists()


def test_a_config_that_cannot_be_read_is_an_error(folder):
    (folder / "config.toml").write_text("timezone = 5", encoding="utf-8")

    with pytest.raises(ConfigError, match="timezone"):
        check(folder)


def test_several_at_once_find_the_same_in_the_same_order(folder):
    for n in range(30):
        write(folder, f"j{n}", wanted="再见" if n % 3 else "您好")

    together = Checker(folder, workers=2, keep=False).check()

    alone = check(folder, keep=False)
    assert (lines(together), together.files) == (lines(alone), alone.files)
    assert (len(together.findings), together.tests) == (20, 32)


def test_an_entry_that_is_no_result_is_looked_at_again(folder):
    checker = Checker(folder, workers=1)
    checker.check()
    for key in list(checker.cache._entries):
        if key.startswith(("file", "audience")):
            checker.cache.put(key, {"file": 3, "findings": [{"code": "J999"}]})
    checker.cache.save()

    again = check(folder)

    assert (names(again), lines(again)) == ({"one.yaml", "two.yaml"}, [])


MAPPED = '\n[intake.sources.mini]\nkind = "sensors"\nmay_assert = ["paid"]\nproperties = {sum = "amount"}\n'


def test_what_is_found_of_a_config_that_is_edited_meanwhile_is_not_kept_for_the_one_before(folder, monkeypatch):
    said = folder / "config.toml"
    said.write_text(CONFIG + MAPPED, encoding="utf-8")
    checker = Checker(folder, workers=1)
    before = checker.setup
    monkeypatch.setattr(Checker, "setup", property(lambda _: said.write_text(CONFIG, encoding="utf-8") and before))
    checker.check()
    monkeypatch.undo()
    said.write_text(CONFIG + MAPPED, encoding="utf-8")

    assert [finding.code for finding in check(folder).general] == ["J144"]


EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(["one", "two", "three"]), st.sampled_from(["", "one", "four"]),
                  st.sampled_from(["您好", "再见", "'{{ user.nme }}'"]), st.sampled_from(["one", "two", "three", "none"])),
        st.tuples(st.just("remove"), st.sampled_from(["one", "two", "three"])),
        st.tuples(st.just("rename"), st.sampled_from(["one", "two"]), st.sampled_from(["three", "two"])),
        st.tuples(st.just("break"), st.sampled_from(["one", "two", "audience"])),
        st.tuples(st.just("audience"), st.sampled_from(["order_paid", "order_payd"])),
        st.tuples(st.just("config"), st.sampled_from(["", '\n[policy]\nquiet_hours = "09:00-21:00"\n', MAPPED])),
    ),
    min_size=1, max_size=5,
)  # fmt: skip


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(EDITS)
def test_after_any_edits_a_check_with_what_was_kept_says_what_one_without_says(tmp_path, edits):
    folder = tmp_path / "p"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "journeys").mkdir(parents=True)
    (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    (folder / "journeys" / "audience.yaml").write_text(AUDIENCE, encoding="utf-8")
    write(folder, "one")
    write(folder, "two", other="one")
    check(folder)
    for edit in edits:
        _apply(folder, edit)

        kept, anew = check(folder), check(folder, keep=False)

        assert (kept.findings, kept.files, kept.general) == (anew.findings, anew.files, anew.general)


def _apply(folder, edit):
    kind, *more = edit
    file = folder / "journeys" / f"{more[0]}.yaml"
    if kind == "write":
        write(folder, more[0], id=more[1], title=more[2], other=more[3])
    elif kind == "remove":
        file.unlink(missing_ok=True)
    elif kind == "rename" and file.exists():
        file.rename(folder / "journeys" / f"{more[1]}.yaml")
    elif kind == "break":
        file.write_text("id: [", encoding="utf-8")
    elif kind == "audience":
        (folder / "journeys" / "audience.yaml").write_text(AUDIENCE.replace("order_paid", more[0]), encoding="utf-8")
    elif kind == "config":
        (folder / "config.toml").write_text(CONFIG + more[0], encoding="utf-8")


@pytest.mark.parametrize(
    ("test", "codes"),
    [
        ("expect: []", ["J115"]),
        ("at: '2026-12-01 12:00', expect: []", ["J115"]),
        ("entry: {amount: 1}, expect: []", []),  # what keeps her out is written
        ("entry: {amount: 30}, expect: [{after: 0s, end: completed}]", []),
        ("entry: {amount: 30}, given: {holdout: true}, expect: []", ["J111"]),  # who is held out has entered, and ends
    ],
)
def test_a_test_of_somebody_of_whom_nothing_is_known_who_does_not_enter_says_so(folder, test, codes):
    text = JOURNEY.format(id="one", title="a", other="one", wanted="a").split("tests:")[0]
    text = text.replace(
        "{event: order_paid}", "{event: order_paid, where: event.amount > 9}\ngoal: {event: account_closed, within: 7d}\nholdout: 10%"
    )
    text = text.replace("purpose: service", "purpose: marketing").replace("send: [{push: {title: a, body: 谢谢}}]", "delay: 1h")
    test = test.replace("after: 0s", "after: 1h")
    (folder / "journeys" / "one.yaml").write_text(f"{text}tests: [{{name: t, {test}}}]\n", encoding="utf-8")

    findings = [f for f in check(folder).findings if f.place.file.endswith("one.yaml")]

    assert [f.code for f in findings] == codes
    if codes == ["J115"]:
        (said,) = findings
        assert said.severity == "warning"
        assert said.text("en").endswith("does not enter (refused: where: event.amount > 9)")

"""A mixture takes what its quotas say, the same documents however they are partitioned, and repeats none unasked (T50)."""

import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.api import parse, run
from pipeline.executors.local import LocalExecutor
from pipeline.schema import ID, ID_HASH, SOURCE, TOKEN_COUNT, id_hashes
from pipeline.stage import ShardInfo, StageRef
from stages.mixing._plan import read_plan
from stages.mixing._quotas import Shortage
from stages.mixing._sizes import keys_of
from stages.mixing.mix_documents import MixDocuments
from stages.mixing.plan_mixture import PlanMixture
from tests.support.corpora import rows
from tests.support.toy import TOYS


def batch_of(documents):
    """(id, group, tokens) of each."""
    ids, groups, tokens = map(list, zip(*documents, strict=True)) if documents else ([], [], [])
    columns = [
        pa.array(ids, ID.type),
        id_hashes(ids),
        pa.array(groups, pa.string()).dictionary_encode().cast(SOURCE.type),
        pa.array(tokens, TOKEN_COUNT.type),
    ]
    return pa.record_batch(columns, schema=pa.schema([ID, ID_HASH, SOURCE, TOKEN_COUNT]))


def planned(tmp_path, partitions, **params):
    """The folder of a plan over partitions of documents."""
    stage = PlanMixture.model_validate_json(json.dumps(params))
    shards = []
    for number, documents in enumerate(partitions):
        folder = tmp_path / f"part-{number}"
        folder.mkdir()
        batches = iter([batch_of(documents[:3]), batch_of(documents[3:])])
        info = stage.write(batches, folder, None)
        names = [f"{number:05}-{name}" for name in info.files]
        for old, new in zip(info.files, names, strict=True):
            (folder / old).rename(tmp_path / new)
        shards.append(ShardInfo(names, info.rows))
    stage.commit(shards, tmp_path, None)
    return tmp_path


def mixed(folder, documents, **params):
    """(id, phase) of each copy, and reasons by id."""
    stage = MixDocuments(**params)
    made = stage.expand(batch_of(documents), stage.open({"mixture": folder}))
    ids = [documents[p][0] for p in made.parents.to_pylist()]
    reasons = [None] * len(documents) if made.reject is None else made.reject.to_pylist()
    left = {document[0]: reason for document, reason in zip(documents, reasons, strict=True) if reason}
    assert set(ids) | set(left) == {document[0] for document in documents}
    assert not set(ids) & set(left)
    return list(zip(ids, made.columns["mix_phase"].to_pylist(), strict=True)), left


def oracle(documents, quotas, seed=0):
    """The same by walking along each group's line."""
    copies = Counter()
    hashes = keys_of(id_hashes([d[0] for d in documents]), seed).tolist()
    groups = defaultdict(list)
    for key, (name, group, tokens) in zip(hashes, documents, strict=True):
        groups[group].append((key, name, tokens))
    for group, members in groups.items():
        members.sort()
        ends = np.cumsum([quota.get(group, 0) for quota in quotas]).tolist()
        at = 0
        while members and at < ends[-1]:
            for _, name, tokens in members:
                at += tokens
                if at <= ends[-1]:
                    copies[name, next(p for p, end in enumerate(ends) if at <= end)] += 1
            if not sum(tokens for _, _, tokens in members):
                break
    return copies


def corpus(sizes):
    return [(f"{group}/{k}", group, tokens) for group, each in sizes.items() for k, tokens in enumerate(each)]


SIZES = st.dictionaries(
    st.sampled_from(["web", "books", "wiki"]),
    st.lists(st.integers(1, 50), min_size=1, max_size=12),
    min_size=1,
)


@settings(max_examples=60, deadline=None)
@given(
    sizes=SIZES,
    budget=st.integers(1, 3000),
    epochs=st.sampled_from([1.0, 1.5, 2.0, 3.7]),
    scarce=st.sampled_from(["shrink", "redistribute"]),
    phases=st.sampled_from([[], [0.1, 0.6, 0.3]]),
    cuts=st.integers(1, 4),
    seed=st.integers(0, 3),
)
def test_the_mixture_is_the_line_cut_at_the_quotas(
    tmp_path_factory, sizes, budget, epochs, scarce, phases, cuts, seed
):
    documents = corpus(sizes)
    params = {
        "budget": budget,
        "max_epochs": epochs,
        "scarce": scarce,
        "temperature": 2.0,
        "phases": [{"name": str(k), "share": share} for k, share in enumerate(phases)],
        "seed": seed,
    }
    folders = [
        planned(tmp_path_factory.mktemp("plan"), parts, **params)
        for parts in ([documents], [documents[k::cuts] for k in range(cuts)], [[], documents[::-1]])
    ]
    plans = [read_plan(folder) for folder in folders]
    assert plans[0] == plans[1] == plans[2]
    quotas = [{group.name: group.quotas[p] for group in plans[0].groups} for p in range(len(plans[0].phases))]
    found, left = mixed(folders[0], documents)
    assert Counter(found) == oracle(documents, quotas, seed)
    asked = {group.name for group in plans[0].groups if any(group.quotas)}
    assert all((reason == "over_quota") == (name.split("/")[0] in asked) for name, reason in left.items())
    tokens = {name: size for name, _, size in documents}
    for group in plans[0].groups:
        mine = [tokens[name] for name, _ in found if name.startswith(group.name)]
        largest = max(size for _, other, size in documents if other == group.name)
        assert sum(mine) == group.cuts[-1].size  # what the plan says is taken
        assert sum(group.quotas) - largest < sum(mine) <= sum(group.quotas)
        copies = Counter(name for name, _ in found if name.startswith(group.name))
        assert not copies or max(copies.values()) <= -(-sum(group.quotas) // group.size)


def test_no_document_comes_twice_before_all_have_come_once(tmp_path):
    documents = corpus({"wiki": [10] * 10, "web": [10] * 90})
    folder = planned(tmp_path, [documents], weights={"wiki": 1, "web": 1}, budget=300, max_epochs=2.0)
    found, left = mixed(folder, documents)
    copies = Counter(name for name, _ in found)
    assert sorted(n for name, n in copies.items() if name.startswith("wiki")) == [1] * 5 + [2] * 5
    assert Counter(left.values()) == {"over_quota": 75}


def test_quotas_in_documents_are_met_exactly(tmp_path):
    documents = corpus({"wiki": [1, 50, 3, 9], "web": list(range(1, 30))})
    folder = planned(
        tmp_path, [documents[:9], documents[9:]], unit="documents", weights={"wiki": 1, "web": 4}, budget=15
    )
    found, _ = mixed(folder, documents)
    assert Counter(name.split("/")[0] for name, _ in found) == {"wiki": 3, "web": 12}


def test_phases_have_mixtures_of_their_own_and_share_no_document(tmp_path):
    documents = corpus({"wiki": [1] * 60, "web": [1] * 400})
    phases = [
        {"name": "warmup", "share": 0.1, "weights": {"wiki": 1, "web": 0}},
        {"name": "main", "share": 0.7, "weights": {"wiki": 0, "web": 1}},
        {"name": "anneal", "share": 0.2},
    ]
    folder = planned(tmp_path, [documents], weights={"wiki": 1, "web": 1}, budget=200, phases=phases)
    found, _ = mixed(folder, documents)
    assert len({name for name, _ in found}) == len(found) == 200
    assert Counter((phase, name.split("/")[0]) for name, phase in found) == {
        (0, "wiki"): 20,
        (1, "web"): 140,
        (2, "wiki"): 20,
        (2, "web"): 20,
    }


def test_groups_left_out(tmp_path):
    documents = corpus({"wiki": [1] * 3, "web": [1] * 3, "spam": [1] * 2})
    folder = planned(tmp_path, [documents], weights={"wiki": 1, "web": 1}, others="drop")
    found, left = mixed(folder, documents)
    assert len(found) == 6
    assert left == {"spam/0": "not_in_mixture", "spam/1": "not_in_mixture"}


def test_null_is_a_group_and_columns_of_other_types_are(tmp_path):
    stage = PlanMixture.model_validate_json(
        '{"by": "grade", "unit": "documents", "weights": {"1": 1, "(none)": 1}}'
    )
    ids = ["a/1", "a/2", "a/3"]
    batch = pa.record_batch({"id_hash": id_hashes(ids), "grade": pa.array([1, None, 1], pa.int32())})
    info = stage.write(iter([batch]), tmp_path, None)
    stage.commit([info], tmp_path, None)
    mix = MixDocuments(by="grade")
    made = mix.expand(batch, mix.open({"mixture": tmp_path}))
    assert len(made.parents) == 2
    assert 1 in made.parents.to_pylist()


def test_no_documents(tmp_path):
    folder = planned(tmp_path, [[], []])
    assert mixed(folder, []) == ([], {})


def test_the_table_is_for_a_person(tmp_path):
    documents = corpus({"wiki": [10] * 10, "web": [10] * 90})
    planned(tmp_path, [documents], weights={"wiki": 1, "web": 1}, budget=300, max_epochs={"wiki": 2.0})
    assert (tmp_path / "mixture.txt").read_text() == (
        "group  documents  tokens  taken  of all %  epochs  all\n"
        "web           90     900    150      50.0    0.17  150\n"
        "wiki          10     100    150      50.0    1.50  150\n"
    )


def test_the_report_has_the_same_table(tmp_path):
    documents = corpus({"wiki": [10] * 10, "web": [10] * 90})
    phases = [{"name": "warm", "share": 1}, {"name": "rest", "share": 2}]
    params = {"weights": {"wiki": 1, "web": 1}, "budget": 300, "max_epochs": {"wiki": 2.0}}
    for name, more, columns in (("one", {}, []), ("two", {"phases": phases}, ["warm", "rest"])):
        (tmp_path / name).mkdir()
        planned(tmp_path / name, [documents], **params, **more)
        (table,) = PlanMixture(**params, **more).summary([], tmp_path / name)
        assert table.columns == ["source", "documents", "tokens", "taken", "of all, %", "epochs", *columns]
        parts = [[50, 100], [50, 100]] if columns else [[], []]
        assert table.rows == [
            ["web", 90, 900, 150, 50.0, 0.17, *parts[0]],
            ["wiki", 10, 100, 150, 50.0, 1.5, *parts[1]],
        ]
        assert table.bar == "taken"


@pytest.mark.parametrize(
    ("params", "error"),
    [
        (
            {"weights": {"wiki": 1, "web": 1, "code": 1}},
            "weights names 'code', but no document has this source; there are web, wiki",
        ),
        (
            {"weights": {"wiki": 1}},
            "weights leaves out 'web', which documents have as source; give it a weight",
        ),
        (
            {"phases": [{"name": "a", "share": 1, "weights": {"web": 1}}]},
            "phases: a leaves out 'wiki', which documents have as source",
        ),
    ],
)
def test_what_only_the_documents_show_to_be_wrong(tmp_path, params, error):
    with pytest.raises(ValueError, match=r"names|leaves out") as raised:
        planned(tmp_path, [corpus({"wiki": [1], "web": [1]})], **params)
    assert error in str(raised.value)


def test_a_budget_too_large(tmp_path):
    with pytest.raises(Shortage, match="budget 9 asks too much: 'web' may give 1 of the 4 asked"):
        planned(tmp_path, [corpus({"wiki": [1], "web": [1]})], weights={"wiki": 1, "web": 1}, budget=9)


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"weights": {"web": -1}}, "weights: 'web' is -1; give 0 or more"),
        ({"max_epochs": -2}, "max_epochs: 'all' is -2; give 0 or more"),
        ({"weights": {"web": 0}}, "weights: all are 0; give at least one group a weight above 0"),
        (
            {"weights": {"web": 1}, "temperature": 3},
            "temperature 3 beside weights; temperature makes weights where none are given",
        ),
        (
            {"phases": [{"name": "a", "share": 1}, {"name": "a", "share": 1}]},
            "phases: two are called 'a'",
        ),
    ],
)
def test_params_that_cannot_be_meant(params, problem):
    assert PlanMixture.model_validate_json(json.dumps(params)).problems() == [problem]


def test_a_plan_by_another_column_is_refused(tmp_path):
    folder = planned(tmp_path, [corpus({"web": [1]})])
    with pytest.raises(ValueError, match="by is 'lang', but the mixture is planned by 'source'"):
        MixDocuments(by="lang").open({"mixture": folder})
    with pytest.raises(ValueError, match=r"holds no manifest\.json; give a plan_mixture node"):
        MixDocuments().open({"mixture": tmp_path / "part-0"})


CONFIG = """
version: 1
run: {{name: mix, output: {out}}}
nodes:
  web: {{stage: read_lines, params: {{folder: {lines}/web}}}}
  wiki: {{stage: read_lines, params: {{folder: {lines}/wiki}}}}
  mixture: {{stage: plan_mixture, inputs: [web, wiki], params: {{unit: documents, weights: {{web: 1, wiki: 1}}, budget: 30, max_epochs: 2}}}}
  mix: {{stage: mix_documents, inputs: [web, wiki], side: {{mixture: mixture}}}}
  out: {{stage: write_rows, inputs: [mix], params: {{columns: [id, text, mix_copy]}}}}
"""


def test_through_the_engine(tmp_path):
    for name, count in (("web", 40), ("wiki", 10)):
        (tmp_path / name).mkdir()
        for part in range(2):
            lines = [f"{name} {part} {k}" for k in range(count // 2)]
            (tmp_path / name / f"{part}.txt").write_text("\n".join(lines) + "\n")
    registry = TOYS | {
        "plan_mixture": StageRef("stages.mixing.plan_mixture:PlanMixture"),
        "mix_documents": StageRef("stages.mixing.mix_documents:MixDocuments"),
    }
    config = parse(CONFIG.format(out=tmp_path / "out", lines=tmp_path), "mix.yaml")
    result = run(config, registry=registry, executor=LocalExecutor())
    folders = {path.parent for path in Path(result.folder).rglob("*.arrow") if path.parent.name == "out"}
    made = [row for folder in folders for row in rows(folder)]
    assert Counter(row["text"].split()[0] for row in made) == {"web": 15, "wiki": 15}
    assert len({row["id"] for row in made}) == 30
    assert sum(row["mix_copy"] == 1 for row in made) == 5
    report = json.loads((Path(result.folder) / "report.json").read_text("utf-8"))
    mix = next(node for node in report["nodes"] if node["node"] == "mix")
    assert {name: account["rejected"] for name, account in mix["sources"].items()} == {
        "web": {"over_quota": 25},
        "wiki": {},
    }

"""Own videos and folders under a fitted model: the command's rows, against the same by hand.

Modules tried here: experiments.predicting.asked, experiments.predicting.model_maps,
experiments.predicting.outcome, experiments.predicting.picture, experiments.predicting.predict.
"""

import csv
import json
import os
import shutil
import signal

import cv2
import fitted_models
import jax
import numpy as np
import own_videos
import pretend_clips
import pytest
from command_runner import run_command
from PIL import Image

from ahmsa_jax.config import from_plain
from ahmsa_jax.networks.registry import NETWORKS
from experiments.files import fold_weights
from experiments.fitting import model_folder
from experiments.predicting import asked, model_maps, outcome
from experiments.run.spec import config_hash
from input_pipeline.flow.clip_maps import MapSettings, make_maps
from input_pipeline.flow.optical import optical_flow
from input_pipeline.maps import layouts


def built_by_farneback(folder):
    """Say in model.json that the maps were built from frames, as a build would."""
    path = folder / model_folder.MODEL_FILE
    facts = json.loads(path.read_text())
    facts.pop("model_hash")
    facts["maps"] = {"source": "database frames", **MapSettings(flow="farneback").provenance()}
    path.write_text(json.dumps(facts | {"model_hash": config_hash(facts)}))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted") / "model"
    shutil.copytree(fitted_models.folder() / "model", folder)
    built_by_farneback(folder)
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A video, a folder, one without a face and one without motion."""
    root = tmp_path_factory.mktemp("clips")
    own_videos.write_video(root / "smile é 1.avi", own_videos.frames())
    own_videos.write_folder(root / "frames", own_videos.frames(number=1), first=20)
    noise = np.random.default_rng(0).integers(0, 255, (3, 240, 320, 3), np.uint8)
    own_videos.write_folder(root / "noise", noise)
    own_videos.write_folder(root / "still", [pretend_clips.face()] * 3)
    return root


def predict(model, output, *arguments, **options):
    return run_command(
        *("experiments.predict", f"--model_dir={model}", f"--output={output}", *arguments),
        **options,
    )


def rows_of(output):
    with (output / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def table_run(model, clips, tmp_path_factory):
    """A table over all four clips, relative to its folder."""
    lines = ["file,onset,apex,offset,remark", "smile é 1.avi,,,,x", "frames,20,25,28,"]
    (clips / "clips.csv").write_text("\n".join([*lines, "noise,,,,", "still,,,,"]) + "\n")
    output = tmp_path_factory.mktemp("predicted") / "out"
    done = predict(model, output, f"--table={clips / 'clips.csv'}", pictures=True)
    return done, output


def test_a_table_gives_a_row_for_every_clip(table_run):
    done, output = table_run
    assert done.status == 0, done.err
    rows = rows_of(output)
    assert [(row["file"], row["status"], row["reason"]) for row in rows] == [
        ("smile é 1.avi", "ok", ""),
        ("frames", "ok", ""),
        ("noise", "refused", "no_face"),
        ("still", "refused", "no_motion"),
    ]
    assert [(row["onset"], row["apex"], row["apex_from"]) for row in rows[:2]] == [
        ("0", "5", "spotted"),
        ("20", "25", "given"),
    ]
    for row in rows[:2]:
        shares = [float(row[f"prob_{name}"]) for name in ("negative", "positive", "surprise")]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
        assert row["class"] == ("negative", "positive", "surprise")[int(np.argmax(shares))]
        assert float(row["flow_max_px"]) > 0.5
    assert all(row["prob_negative"] == row["picture"] == "" for row in rows[2:])
    assert "2 predicted, 2 refused" in done.out
    assert "noise, frames 0 to 2: refused, no_face" in done.out


def test_nothing_but_table_and_pictures_is_written(table_run):
    _, output = table_run
    names = sorted(path.name for path in output.iterdir())
    assert names == ["001_smile_1_1.png", "002_frames_1.png", "predictions.csv"]
    with Image.open(output / names[0]) as picture:
        pixels_HxWx3 = np.asarray(picture.convert("RGB"))
    # Faces in grey, flow and bars in colour.
    assert pixels_HxWx3.shape[1] > 1000
    assert (np.ptp(pixels_HxWx3.astype(int), axis=-1) > 60).mean() > 0.02


def test_the_prediction_is_the_same_by_hand(model, clips, table_run):
    """Build, network and temperature step by step, without the rooms that the command uses."""
    _, output = table_run
    shown = {n: cv2.imread(str(clips / "frames" / f"img{n}.bmp"))[..., ::-1] for n in range(20, 29)}
    folder = output.parent / "by_hand"
    record = pretend_clips.clip(folder, shown, marks=(20, 25, 28))
    maps = make_maps(record, MapSettings(flow="farneback"))
    np.testing.assert_array_equal(
        maps.flow_SxSxC[..., :2], optical_flow(maps.onset_SxS, maps.apex_SxS, "farneback")
    )
    least, most = maps.flow_SxSxC.min((0, 1)), maps.flow_SxSxC.max((0, 1))
    face_SxSx3 = ((maps.flow_SxSxC - least) / (most - least) * 255).astype(np.float32)
    flow_1xHxWx3 = layouts.compose("five", face_SxSx3, maps.landmarks_5x2)[None]
    facts = json.loads((model / "model.json").read_text())
    network = NETWORKS["ahmsa"]
    config = from_plain(network.config, facts["network"])
    module, by_seed = network.build(config, "float32"), []
    for seed in (0, 1):
        weights = fold_weights.load(model_folder.weights_path(model, seed))
        tree: dict = {}
        for path, leaf in weights.params.items():
            *parents, name = path.split("/")
            place = tree
            for parent in parents:
                place = place.setdefault(parent, {})
            place[name] = leaf
        logits_1xK, _ = module.apply({"params": tree}, flow_1xHxWx3)
        by_seed.append(np.asarray(jax.nn.softmax(logits_1xK))[0])
    powered_K = np.mean(by_seed, axis=0) ** (1 / facts["temperature"])
    expected_K = powered_K / powered_K.sum()
    row = rows_of(output)[1]
    found_K = [float(row[f"prob_{name}"]) for name in facts["class_names"]]
    np.testing.assert_allclose(found_K, expected_K, atol=2e-4)


def test_a_refused_clip_alone_is_a_mistake(model, clips, tmp_path):
    refused = predict(model, tmp_path / "out", f"--clip={clips / 'still'}")
    assert refused.status == 2
    assert refused.err.startswith("experiments.predict: error: the clip was refused, no_motion")
    assert refused.err.count("\n") == 1
    assert "no_motion" not in refused.out
    (row,) = rows_of(tmp_path / "out")
    assert (row["status"], row["reason"]) == ("refused", "no_motion")


def test_windows_in_steps_are_rows(model, clips, tmp_path):
    done = predict(
        model, tmp_path / "out", f"--clip={clips / 'frames'}", "--window=0.15", "--every=0.1"
    )
    assert done.status == 0, done.err
    assert "frames: 3 windows" in done.out
    rows = rows_of(tmp_path / "out")
    assert [(row["window"], row["first_frame"], row["last_frame"]) for row in rows] == [
        ("1", "20", "23"),
        ("2", "23", "26"),
        ("3", "26", "28"),
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give --clip=PATH"),
        (("--clip=a", "--table=b"), "give --clip=PATH"),
        (("--clip=",), "--clip is empty"),
        (("--clip=absent.mp4",), "no_such_clip"),
        (("--clip=a", "--clip=b", "--onset=1"), "--clip names 2"),
        (("--clip=a", "--onset=5", "--apex=3"), "are not in the order onset, apex, offset"),
        (("--clip=a", "--window=0"), "--window=0 is out of range"),
        (("--clip=a", "--every=1", "--apex=3"), "exclude each other"),
        (("--table=absent.csv",), "does not exist"),
        (("--clip=a", "--output="), "--output is missing"),
        (("--clip=a", "--model_dir=/"), "is no model's folder"),
        (("--clip=a", "--output={full}"), "holds something already"),
    ],
)
def test_mistakes_are_one_line(model, tmp_path, arguments, words):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    given = [argument.format(full=tmp_path / "full") for argument in arguments]
    refused = predict(model, tmp_path / "out", *given)
    assert refused.status == 2
    assert words in refused.err
    assert refused.err.count("\n") == 1
    assert (tmp_path / "full" / "mine.txt").read_text() == "keep"
    assert len(os.listdir(tmp_path / "full")) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clip,onset\na,1\n", "needed is file"),
        ("file,file\na,b\n", "each once"),
        ("file;onset\na;1\n", "columns are parted by commas"),
        ("file,Onset,apx\na,1,3\n", "the column 'apx'; is apex meant"),
        ('file\n"a\nb\n', "is no CSV table"),
        ("file\n", "names no clip"),
        ("file,onset\n,3\n", "row 2: the file is empty"),
        ("file,apex\na,x\n", "row 2: apex is 'x'"),
        ("file,onset,apex\na,1,2\nb,5,4\n", "row 3: --onset=5 and --apex=4"),
        (b"\xff\xfe", "no table in UTF-8"),
    ],
)
def test_a_bad_table_names_its_row(tmp_path, text, words):
    path = tmp_path / "clips.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=words):
        asked.of_table(path, asked.Asked())


def test_columns_in_capitals_and_numbers_with_a_point_are_read(tmp_path):
    path = tmp_path / "clips.csv"
    path.write_bytes(b"\xef\xbb\xbfFile,Onset,APEX,remark\r\na,1.0,,x\r\n")
    (clip,) = asked.of_table(path, asked.Asked())
    assert clip.path == tmp_path / "a"
    assert (clip.asked.onset, clip.asked.apex) == (1, None)


def test_faces_do_not_go_into_a_model_or_among_frames(model, clips, tmp_path):
    for output in (model / "inside", clips / "frames" / "out"):
        refused = predict(model, output, f"--clip={clips / 'frames'}")
        assert refused.status == 2
        assert "which is read; name a folder elsewhere" in refused.err
        assert not output.exists()


def stop_at_the_second_row():
    """Ask the command to end as a scheduler does, in the middle of a table."""
    whole = outcome.Outcome.line
    seen = []

    def line(self, class_names):
        seen.append(1)
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(self, class_names)

    outcome.Outcome.line = line


def test_a_stopped_command_keeps_its_rows_and_says_so(model, clips, tmp_path):
    (tmp_path / "clips.csv").write_text("file\n" + f"{clips / 'absent'}\n" * 50)
    table = f"--table={tmp_path / 'clips.csv'}"
    stopped = predict(model, tmp_path / "out", table, prepare=stop_at_the_second_row)
    assert stopped.status == 128 + signal.SIGTERM
    assert "stopped; 2 rows are in" in stopped.err
    assert stopped.err.count("\n") == 1
    assert len(rows_of(tmp_path / "out")) == 2


def test_many_rows_do_not_write_the_table_again_and_again(model, clips, tmp_path):
    (tmp_path / "clips.csv").write_text("file\n" + f"{clips / 'absent'}\n" * 3000)
    done = predict(model, tmp_path / "out", f"--table={tmp_path / 'clips.csv'}", seconds=60)
    assert done.status == 0, done.err
    assert len(rows_of(tmp_path / "out")) == 3000


def test_maps_of_another_origin_are_noted(model):
    synthetic = model_maps.of_model(model_folder.load(fitted_models.folder() / "model"))
    assert "PRETEND" in synthetic.notes[0]
    assert "not made by this program from frames" in synthetic.notes[1]
    built = model_maps.of_model(model_folder.load(model))
    assert len(built.notes) == 1
    assert built.settings.flow == "farneback"


def test_another_version_of_a_library_is_noted(model, tmp_path):
    shutil.copytree(model, tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    facts = json.loads(path.read_text())
    facts.pop("model_hash")
    facts["maps"]["opencv"] = "3.4.1"
    path.write_text(json.dumps(facts | {"model_hash": config_hash(facts)}))
    _, note = model_maps.of_model(model_folder.load(tmp_path / "model")).notes
    assert "was 3.4.1 for the model's maps" in note

"""Errors of data sets and their edits."""

from tsukiji.errors.base import TsukijiError
from tsukiji.errors.requests import Conflict, Invalid


class SampleUnavailable(Invalid):
    code = "sample_unavailable"
    title = "The sample pictures are not installed"
    hint = "They come with scikit-learn: `pip install 'tsukiji[training]'` where the intake worker runs."


class LabelRefused(Invalid):
    code = "label_refused"
    title = "The label is too long, or the data set has too many"
    hint = "GET /v1/limits shows the limits; rename the folder."


class FeaturesMissing(Conflict):
    code = "features_missing"
    title = "There are no features to compare with"
    hint = "Analyse the data set with the same backbone and image size: `tsukiji datasets check NAME`."


class DatasetTooSmall(TsukijiError):
    code = "dataset_too_small"
    title = "The data set is too small to train on"
    hint = "Add labelled images: at least two labels, each with the minimum number of images."


class CropOutside(Invalid):
    code = "crop_outside"
    title = "The crop box extends beyond the picture"
    hint = "Give left, upper, right, lower in pixels of the upright picture; the image's record has width and height."


class ChangedSince(Conflict):
    code = "changed_since"
    title = "Some of the images have changed since"
    hint = "Undo the later revision first; `revision` is its id."


class RevisionUndone(Conflict):
    code = "revision_undone"
    title = "The revision has already been undone"
    hint = "`undone_by` is the undo; undo that to apply the edit again."

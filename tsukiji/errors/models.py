"""Errors of trainings, models and exports."""

from tsukiji.errors.base import TsukijiError
from tsukiji.errors.requests import Invalid


class BackboneUnavailable(TsukijiError):
    code = "backbone_unavailable"
    title = "The backbone needs a library that is not installed"
    hint = "Install it in the workers' checkout: pip install '.[inference]'. Or use resnet18, resnet34 or resnet50."


class WeightsUnavailable(TsukijiError):
    code = "weights_unavailable"
    title = "The pretrained weights are not available"
    hint = (
        "Give the worker the file with `tsukiji weights add FILE` (its folder is TSUKIJI_WEIGHTS_DIR), let it "
        "download them once, or use random weights with recipe.pretrained=false."
    )


class WeightsInvalid(TsukijiError):
    code = "weights_invalid"
    title = "The weights file does not fit the backbone"
    hint = "`tsukiji weights add FILE` takes a state dict of exactly this backbone, and reports what does not fit."


class NanLoss(TsukijiError):
    code = "nan_loss"
    title = "The loss became NaN or infinite"
    hint = "Lower recipe.learning_rate."


class GpuOutOfMemory(TsukijiError):
    code = "gpu_out_of_memory"
    title = "The device has too little memory"
    hint = "Lower recipe.batch_size or recipe.image_size."


class OutOfMemory(TsukijiError):
    code = "out_of_memory"
    title = "The work needed more memory than allowed"
    hint = (
        "Lower recipe.batch_size, recipe.image_size or TSUKIJI_TRAINING_WORKERS, "
        "or raise TSUKIJI_JOBS_TRAINING_MEMORY_MB."
    )


class TrainingCrashed(TsukijiError):
    code = "training_crashed"
    title = "The training process ended without a result"
    hint = "If the system killed it for lack of memory, lower recipe.batch_size or recipe.image_size."
    retriable = True


class GuaranteeUnmet(TsukijiError):
    code = "guarantee_unmet"
    title = "Nothing can be decided with so few errors and this confidence"
    hint = "Allow more errors or less confidence; or label more images and evaluate the model on them."


class ModelGone(TsukijiError):
    code = "model_gone"
    title = "The model was deleted"
    hint = "Choose an existing model; earlier results are kept."


class PackageInvalid(TsukijiError):
    code = "package_invalid"
    title = "The model package is incomplete, modified or in another format"
    hint = (
        "Download or send the complete package again. For a model of this service: train it again, "
        "or restore the store from a backup."
    )


class LabelsUnknown(Invalid):
    code = "labels_unknown"
    title = "The data set has labels that the model does not know"
    hint = (
        "Evaluate on a data set or split with the model's own labels (`labels` lists the others), "
        "or relabel these images."
    )


class KindMismatch(Invalid):
    code = "kind_mismatch"
    title = "One is single-label, the other multi-label"
    hint = "Use a model and a data set of the same kind: `single_label` or `multi_label`."


class NoSharedImages(Invalid):
    code = "no_shared_images"
    title = "The two evaluations have no image in common"
    hint = "Evaluate both models on the same data set and split, then compare the new evaluations."


class OutputNotFinite(TsukijiError):
    code = "output_not_finite"
    title = "The model's output is not a number"
    hint = (
        "If this happens for all pictures, the model is damaged: train or import it again. If only for some, try "
        "TSUKIJI_INFERENCE_PRECISION=float32."
    )


class ExportFailed(TsukijiError):
    code = "export_failed"
    title = "The model could not be exported to this format"
    hint = "The package itself is intact: GET /v1/models/{model}/package downloads it."

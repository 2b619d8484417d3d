# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""The client: one connection, with the groups of methods on it."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack, overload

from tsukiji import types
from tsukiji.client._base import configure, path
from tsukiji.client._pictures import Picture
from tsukiji.client._records import Asked, Prediction, Several
from tsukiji.client._sync._analyses import Analyses
from tsukiji.client._sync._audit import Audit
from tsukiji.client._sync._batches import Batches
from tsukiji.client._sync._bound import Identified, id_of
from tsukiji.client._sync._curation import Labels
from tsukiji.client._sync._datasets import Datasets
from tsukiji.client._sync._downloads import save
from tsukiji.client._sync._evaluations import Evaluations
from tsukiji.client._sync._events import follow_all
from tsukiji.client._sync._feedback import correct
from tsukiji.client._sync._images import Images
from tsukiji.client._sync._imports import Imports
from tsukiji.client._sync._jobs import Jobs
from tsukiji.client._sync._keys import Keys
from tsukiji.client._sync._models import Aliases, Models
from tsukiji.client._sync._people import People
from tsukiji.client._sync._predictions import predict
from tsukiji.client._sync._projects import Projects
from tsukiji.client._sync._similar import SearchOptions, similar_to_picture
from tsukiji.client._sync._snapshots import Snapshots
from tsukiji.client._sync._suggestions import SuggestionJobs
from tsukiji.client._sync._trainings import Trainings
from tsukiji.client._sync._transport import Transport
from tsukiji.client._sync._uploads import Uploads
from tsukiji.client._sync._webhooks import Webhooks


class Client:
    """A connection to one Tsukiji service; thread-safe.

    Args:
        url: the service's address; default: TSUKIJI_URL, else http://127.0.0.1:8000.
        api_key: `tsk_...`; default: TSUKIJI_API_KEY.
        timeout: seconds without data after which a call fails.
        max_retries: how often a call is retried after a connection error, 408, 409, 429, or 500 and above.
        progress: False: waits and uploads show no line of progress; default: unless TSUKIJI_PROGRESS is `off`. It is
            only shown in a terminal or a notebook.

    Raises:
        ValueError: the address is not an http or https URL.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 60,
        max_retries: int = 2,
        progress: bool | None = None,
    ) -> None:
        self._transport = Transport(configure(url, api_key, timeout, max_retries, progress))
        self.datasets = Datasets(self._transport)
        self.images = Images(self._transport)
        self.snapshots = Snapshots(self._transport)
        self.uploads = Uploads(self._transport)
        self.imports = Imports(self._transport)
        self.analyses = Analyses(self._transport)
        self.suggestions = SuggestionJobs(self._transport)
        self.trainings = Trainings(self._transport)
        self.models = Models(self._transport)
        self.aliases = Aliases(self._transport)
        self.evaluations = Evaluations(self._transport)
        self.batches = Batches(self._transport)
        self.jobs = Jobs(self._transport)
        self.keys = Keys(self._transport)
        self.people = People(self._transport)
        self.projects = Projects(self._transport)
        self.webhooks = Webhooks(self._transport)
        self.audit = Audit(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    @property
    def url(self) -> str:
        return self._transport.config.url

    @overload
    def predict(self, picture: Picture, /, model: str | Identified, **options: Unpack[Asked]) -> Prediction: ...

    @overload
    def predict(self, pictures: Several, /, model: str | Identified, **options: Unpack[Asked]) -> list[Prediction]: ...

    def predict(
        self,
        pictures: Picture | Several,
        /,
        model: str | Identified,
        *,
        top_k: int = 3,
        threshold: float = 0.0,
        min_known: float | None = None,
        target_error: float | None = None,
        confidence: float | None = None,
        prediction_set: float | None = None,
        tags: bool = False,
        heatmap: str | None = None,
        record: bool = True,
        wait: int = 10,
    ) -> Prediction | list[Prediction]:
        """Classify one picture, or a list of up to 16: paths, bytes of picture files, Pillow images, arrays (uint8).

        Args:
            pictures: for one, returns one prediction; for a list, a list in the same order.
            model: id, alias or name, or the model itself.
            top_k: how many labels each prediction lists.
            threshold: the decision is None below this probability.
            min_known: the decision is None ("none of these") below this known score; None: the model's own; 0: off.
            target_error: instead of both: decide what can be decided with at most this part of all decisions wrong.
            confidence: with which that is kept; default 0.95.
            prediction_set: also return a set of labels that has the true one with this probability: 0.8, 0.9, 0.95 or
                0.99.
            tags: also return labels of parts of each picture with boxes: weak localisation, no trained detector.
            heatmap: also return a heatmap of the evidence for this label, or for each picture's likeliest: "top".
            record: False: faster, and the service stores neither pictures nor results, so that they cannot be
                corrected later. If no worker has the model in memory, it keeps them for an hour.
            wait: seconds the service may hold the call; afterwards the client polls.

        Raises:
            JobFailedError: no picture could be classified; if not recorded, each prediction has its `error` instead.
            APIError: the service refused the request or is unreachable.
        """
        asked = Asked(
            top_k=top_k,
            threshold=threshold,
            min_known=min_known,
            target_error=target_error,
            confidence=confidence,
            prediction_set=prediction_set,
            tags=tags,
            heatmap=heatmap,
            record=record,
            wait=wait,
        )
        return predict(self._transport, pictures, id_of(model), asked)

    def save_heatmap(self, prediction: types.Prediction, target: str | os.PathLike[str]) -> Path:
        """Save a prediction's heatmap over its picture, a PNG, at `target`.

        Raises:
            ValueError: it has none; `prediction.heatmap.withheld` may say why.
            APIError: the service refused the request or is unreachable.
        """
        if prediction.heatmap is None or "png" not in prediction.heatmap.links:
            raise ValueError((prediction.heatmap and prediction.heatmap.withheld) or "no heatmap was requested")
        return save(self._transport, prediction.heatmap.links["png"], Path(target), "image/png")

    def correct(
        self, prediction: types.Prediction, label: Labels, *, dataset: str | Identified | None = None
    ) -> types.Feedback:
        """Correct a picture's label; it becomes a labelled image pending review.

        It goes to the data set that the model was trained on, unless another is given.

        Raises:
            ValueError: the prediction, from an older service, lacks its job's id.
        """
        if prediction.job_id is None:
            raise ValueError("this prediction does not say which job it belongs to")
        return correct(self._transport, prediction.job_id, {prediction.seq: label}, dataset)

    def similar(
        self, picture: Picture, *, dataset: str | Identified | None = None, **options: Unpack[SearchOptions]
    ) -> types.SimilarImages:
        """Find the images of all data sets, or of one, that look most like a picture; see `Dataset.similar`."""
        return similar_to_picture(self._transport, picture, dataset, **options)

    def events(
        self, *, after: int | None = None, jobs: Sequence[str | Identified] = (), kinds: Sequence[str] = ()
    ) -> Iterator[types.Event]:
        """Yield the events of all jobs, without end; reconnects when the connection breaks.

        Args:
            after: the id of the event after which to begin; default: unfinished jobs first, then new events.
            jobs: only these jobs.
            kinds: only jobs of these kinds; default: all but predictions.
        """
        return follow_all(self._transport, after, [id_of(job) for job in jobs], kinds)

    def create_sign_in_link(self, key: str | Identified | None = None) -> types.SignInLink:
        """Create a single-use link that signs a browser in with this client's key or, as an `admin`, with any key."""
        body = {"key": None if key is None else id_of(key)}
        return self._transport.fetch(types.SignInLink, "POST", path("sign-in-links"), json=body)

    def search(self, words: str, *, limit: int = 5) -> types.SearchResult:
        """Search data sets, models and jobs by a part of their names, up to `limit` of each."""
        return self._transport.fetch(types.SearchResult, "GET", path("search"), params={"q": words, "limit": limit})

    def info(self) -> types.Info:
        """Return the service's version, features and workers."""
        return self._transport.fetch(types.Info, "GET", path("info"))

    def limits(self) -> dict[str, Any]:
        limits: dict[str, Any] = self._transport.json("GET", path("limits"))
        return limits

"""Every error of the service, by area. Knows no HTTP: the status codes are in `api/http/errors.py`."""

from tsukiji.errors.archives import *
from tsukiji.errors.base import *
from tsukiji.errors.datasets import *
from tsukiji.errors.images import *
from tsukiji.errors.inputs import *
from tsukiji.errors.jobs import *
from tsukiji.errors.models import *
from tsukiji.errors.requests import *
from tsukiji.errors.sign_in import *
from tsukiji.errors.storage import *
from tsukiji.errors.uploads import *
from tsukiji.errors.webhooks import *

"""A real OpenID provider (`oidc-provider-mock`) on loopback, which can be told to answer falsely.

It checks the proof of PKCE, and tells the state with errors, too, which the package does not.
"""

import base64
import hashlib
import io
import json
import threading
import warnings
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import httpx2
from authlib.deprecate import AuthlibDeprecationWarning
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Request, Response

with warnings.catch_warnings():
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)  # of the package's own imports
    import oidc_provider_mock
    from oidc_provider_mock._storage import storage


class Quiet(WSGIRequestHandler):
    def log(self, *_arguments):
        pass

    def date_time_string(self, timestamp=None):
        return self.server.app.date or super().date_time_string(timestamp)


class OpenIdProvider:
    """The provider, and what it is told to do otherwise; `reset()` makes it honest again."""

    def __init__(self):
        self.app = oidc_provider_mock.app()
        with self.app.test_request_context("/"):
            self.app.preprocess_request()
            self.key = RSAKey.import_key(storage.jwk.as_dict(is_private=True))
        self.server = make_server("localhost", 0, self, threaded=True, request_handler=Quiet)
        self.url = f"http://localhost:{self.server.server_port}"
        self.challenges = {}
        self.browser = httpx2.Client()
        self.reset()

    def reset(self):
        self.asked = []
        """Paths, queries and forms that it was sent."""
        self.documents = {}
        """Members that replace those of its JSON answers, by path."""
        self.statuses = {}
        """Statuses that it answers with, by path."""
        self.errors = {}
        """OAuth errors that it answers with, by path."""
        self.date = None
        """What it says is the time."""
        self.make_token = None
        """Called with the claims of the ID token; returns the token that is sent instead."""

    def __call__(self, environ, start_response):
        request = Request(environ)
        self.asked.append((request.path, dict(request.args)))
        if request.path in self.statuses:
            return Response("{}", self.statuses[request.path])(environ, start_response)
        body = request.get_data(parse_form_data=False)
        environ["wsgi.input"] = io.BytesIO(body)
        error = self.errors.get(request.path)
        if request.path == "/oauth2/token" and not error and not self.proves(parse_qs(body.decode())):
            error = "invalid_grant"
        if error:
            refused = Response(json.dumps({"error": error}), 400, mimetype="application/json")
            return refused(environ, start_response)
        iterable, status, headers = run_wsgi_app(self.app, environ)
        answer = b"".join(iterable)
        if request.path == "/oauth2/authorize" and status.startswith("302"):
            told = parse_qs(urlsplit(headers["location"]).query)
            self.challenges[told.get("code", [""])[0]] = request.args.get("code_challenge")
            if "state" not in told:
                headers["location"] += f"&state={request.args['state']}"
        if status.startswith("200") and headers["content-type"].startswith("application/json"):
            answer = self.altered(request.path, answer)
            headers["content-length"] = str(len(answer))
        return Response(answer, status, headers)(environ, start_response)

    def proves(self, form):
        """Whether the request has the verifier of the challenge that its code was made for."""
        given = hashlib.sha256(form.get("code_verifier", [""])[0].encode()).digest()
        return base64.urlsafe_b64encode(given).rstrip(b"=").decode() == self.challenges.get(form.get("code", [""])[0])

    def altered(self, path, body):
        answer = json.loads(body) | self.documents.get(path, {})
        if self.make_token and "id_token" in answer:
            claims = json.loads(base64.urlsafe_b64decode(answer["id_token"].split(".")[1] + "=="))
            answer["id_token"] = self.make_token(claims)
        return json.dumps(answer).encode()

    def signed(self, claims, key=None, header=None):
        return jwt.encode(header or {"alg": "RS256"}, claims, key or self.key)

    def know(self, subject, **claims):
        """Tell it of a person."""
        self.browser.put(f"{self.url}/users/{subject}", json=claims).raise_for_status()

    def consent(self, address, subject, **form):
        """Do what a person does at the provider; returns the address that they are sent back to."""
        answer = self.browser.post(address, data={"sub": subject, **form})
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]


@contextmanager
def running_provider():
    provider = OpenIdProvider()
    thread = threading.Thread(target=provider.server.serve_forever, args=[0.02])
    thread.start()
    try:
        yield provider
    finally:
        provider.server.shutdown()
        thread.join()
        provider.server.server_close()
        provider.browser.close()

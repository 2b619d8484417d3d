"""The client of the OpenID provider: where people are sent, and who comes back. Knows no rows and no routes.

Authorization code flow with PKCE, state and nonce; the provider is found by discovery (OpenID Connect Core and
Discovery, RFC 7636, RFC 9207). Importing this takes a third of a second, so it waits until someone signs in.
"""

import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any, Final

import httpx2
from authlib.common.urls import add_params_to_uri
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import ClaimError, ExpiredTokenError, InvalidKeyIdError, JoseError, MissingClaimError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from db.people import SHOWN_NAME, Identity, fold
from tsukiji.errors import (
    ClaimMissing,
    ClientRefused,
    ClockSkew,
    ConsentRefused,
    IdTokenInvalid,
    ProviderInvalid,
    ProviderUnreachable,
    SignInError,
    SignInInterrupted,
)
from tsukiji.kernel.settings import OidcSettings
from tsukiji.scopes import ROLES, Role, highest

SIGNATURES: Final = frozenset(f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)) | {
    "EdDSA",
    "Ed25519",
}
"""By a key that only the provider has: neither `none` nor those of a shared secret."""
KEPT_SECONDS: Final = 3600
"""How long the discovery document and the keys are believed to be current."""
ANSWER_SECONDS: Final = 10
"""How long the provider may take to answer a request."""
ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")
TIMES: Final = frozenset({"exp", "iat", "nbf"})
LONGEST_SUBJECT: Final = 255
LONGEST_EMAIL: Final = 320
WRONG_CLIENT: Final = frozenset({"invalid_client", "unauthorized_client"})
NO_CONSENT: Final = frozenset({"access_denied", "consent_required"})


@dataclass(frozen=True)
class Attempt:
    """What a browser keeps while its person is at the provider.

    Attributes:
        state: comes back in the address.
        nonce: comes back in the token.
        verifier: proves that who redeems the code has asked for it (PKCE).
    """

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> "Attempt":
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Attempt":
        """Return what a browser kept.

        Raises:
            SignInInterrupted: it kept nothing.
        """
        parts = [kept.get(name) for name in ("state", "nonce", "verifier")]
        if not all(isinstance(part, str) and part for part in parts):
            raise SignInInterrupted("This browser has started no sign-in, or too long ago.")
        return cls(*map(str, parts))


@dataclass(frozen=True)
class SignedIn:
    """Who came back.

    Attributes:
        session_ends: Unix time at which the provider wants the session to end; None: it does not say.
    """

    identity: Identity
    session_ends: float | None = None


class Provider:
    """The provider of the settings; one per process, thread-safe."""

    def __init__(self, settings: OidcSettings) -> None:
        self.settings = settings
        self._tls = httpx2.create_ssl_context()  # reads the machine's certificates, which takes longer than a sign-in
        self._lock = threading.Lock()
        self._documents: dict[str, tuple[float, dict[str, Any]]] = {}

    def begin(self, redirect: str, choose: bool) -> tuple[Attempt, str]:
        """Return what the browser keeps, and where to send it.

        Args:
            redirect: where the person comes back.
            choose: whether the provider asks which account to use.

        Raises:
            ProviderUnreachable, ProviderInvalid
        """
        attempt, known = Attempt.new(), self.discover()
        extra = {"prompt": "select_account"} if choose else {}
        with self._client(redirect) as client:
            url, _ = client.create_authorization_url(
                known["authorization_endpoint"],
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
                **extra,
            )
        return attempt, str(url)

    def finish(self, kept: Mapping[str, Any], redirect: str, answer: Mapping[str, str]) -> SignedIn:
        """Return who came back.

        Args:
            kept: what the browser kept.
            redirect: where they were to come back.
            answer: the query of the address that they came back to.

        Raises:
            SignInError: one of its kinds.
        """
        attempt = Attempt.of(kept)
        if not compare_digest(attempt.state.encode(), answer.get("state", "").encode()):
            raise SignInInterrupted("The provider's answer belongs to another sign-in (`state`).")
        known = self.discover()
        if answer.get("iss", known["issuer"]) != known["issuer"]:
            raise IdTokenInvalid("The answer comes from another provider (`iss`).")
        if "iss" not in answer and known.get("authorization_response_iss_parameter_supported") is True:
            raise IdTokenInvalid("The answer does not say which provider it comes from (`iss`).")
        if error := answer.get("error"):
            raise refusal(error, answer.get("error_description"))
        if not answer.get("code"):
            raise ProviderInvalid("The provider sent neither a code nor an error.")
        token = self._redeem(known, attempt, redirect, answer["code"])
        claims = self._check(known, attempt, token)
        return self._read(claims | self._more(known, claims, token))

    def way_out(self) -> str:
        """Return the address where the provider's own session is ended (OpenID Connect RP-Initiated Logout).

        Raises:
            ProviderUnreachable
            ProviderInvalid: it has none.
        """
        url = self.discover().get("end_session_endpoint")
        if not isinstance(url, str) or not self._is_secure(url):
            raise ProviderInvalid("It names no address for signing out.", hint="Sign out at the provider itself.")
        return str(add_params_to_uri(url, {"client_id": self.settings.client_id}))

    def _is_secure(self, url: str) -> bool:
        """Return whether an address is encrypted, or below an issuer on this machine."""
        return url.startswith(("https://", (self.settings.issuer or "").rstrip("/") + "/"))

    def discover(self) -> dict[str, Any]:
        """Return the provider's discovery document.

        Raises:
            ProviderUnreachable, ProviderInvalid
        """
        issuer = self.settings.issuer or ""
        known = self._fetch(issuer.rstrip("/") + "/.well-known/openid-configuration")
        if str(known.get("issuer")).rstrip("/") != issuer.rstrip("/"):
            raise ProviderInvalid(f"It calls itself {str(known.get('issuer'))[:200]!r}, the settings {issuer!r}.")
        for name in ENDPOINTS:
            url = known.get(name)
            if not isinstance(url, str) or not self._is_secure(url):
                raise ProviderInvalid(f"Its discovery document has no secure address as `{name}`.")
        return known

    def _fetch(self, url: str, *, again: bool = False) -> dict[str, Any]:
        """Return a JSON document, from memory if it is fresh."""
        with self._lock:
            until, document = self._documents.get(url, (0.0, {}))
        if again or time.monotonic() > until:
            with conversation(), httpx2.Client(verify=self._tls, timeout=ANSWER_SECONDS) as client:
                document = client.get(url, headers={"accept": "application/json"}).raise_for_status().json()
            if not isinstance(document, dict):
                raise ProviderInvalid(f"{url} is no JSON object.")
            with self._lock:
                self._documents[url] = (time.monotonic() + KEPT_SECONDS, document)
        return document

    def _client(self, redirect: str, method: str | None = None) -> OAuth2Client:
        return OAuth2Client(
            self.settings.client_id,
            self.settings.client_secret.get_secret_value() or None,
            token_endpoint_auth_method=method,
            scope=self.settings.scopes,
            redirect_uri=redirect,
            code_challenge_method="S256",
            verify=self._tls,
            timeout=ANSWER_SECONDS,
        )

    def _redeem(self, known: dict[str, Any], attempt: Attempt, redirect: str, code: str) -> dict[str, Any]:
        """Exchange the code for tokens."""
        methods = known.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        secret = bool(self.settings.client_secret.get_secret_value())
        method = "client_secret_post" if secret and "client_secret_basic" not in methods else None
        with conversation(), self._client(redirect, method) as client:
            token: dict[str, Any] = client.fetch_token(
                known["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                code_verifier=attempt.verifier,
                redirect_uri=redirect,
            )
        if not isinstance(token.get("id_token"), str) or not isinstance(token.get("access_token"), str):
            raise ProviderInvalid("It answered without an ID token; TSUKIJI_OIDC_SCOPES must contain `openid`.")
        return token

    def _check(self, known: dict[str, Any], attempt: Attempt, token: dict[str, Any]) -> dict[str, Any]:
        """Return the claims of an ID token that is genuine, for us, for this attempt, and of this time.

        Raises:
            IdTokenInvalid, ClockSkew, ProviderUnreachable
        """
        announced = known.get("id_token_signing_alg_values_supported") or ["RS256"]
        allowed = [name for name in announced if name in SIGNATURES]
        if not allowed:
            raise ProviderInvalid("It signs with none of " + ", ".join(sorted(SIGNATURES)) + ".")
        registry = JWSRegistry(algorithms=allowed, strict_check_header=False)
        needs = {
            "iss": {"essential": True, "value": known["issuer"]},
            "aud": {"essential": True, "value": self.settings.client_id},
        }
        sent = {"nonce": attempt.nonce, "client_id": self.settings.client_id, "access_token": token["access_token"]}
        try:
            try:
                decoded = jwt.decode(token["id_token"], self._keys(known), registry=registry)
            except InvalidKeyIdError:  # the provider has turned its keys
                decoded = jwt.decode(token["id_token"], self._keys(known, again=True), registry=registry)
            claims = CodeIDToken(decoded.claims, decoded.header, needs, sent)
            claims.validate(leeway=self.settings.leeway_seconds)
        except ClaimError as error:
            raise claim_refusal(error, decoded.claims) from error
        except (JoseError, ValueError) as error:
            raise IdTokenInvalid(
                f"Its signature is not one that the provider makes ({type(error).__name__})."
            ) from error
        return dict(claims)

    def _keys(self, known: dict[str, Any], *, again: bool = False) -> KeySet:
        document = self._fetch(known["jwks_uri"], again=again)
        if not isinstance(document.get("keys"), list):
            raise ProviderInvalid("Its list of keys has none.")
        return KeySet.import_key_set(document)  # type: ignore[arg-type] # it checks what it is given

    def _more(self, known: dict[str, Any], claims: dict[str, Any], token: dict[str, Any]) -> dict[str, Any]:
        """Return the claims that the provider tells only at its UserInfo endpoint, if we need any."""
        url = known.get("userinfo_endpoint")
        role_missing = bool(self.settings.role_claim) and find_claim(claims, self.settings.role_claim) is None
        if not isinstance(url, str) or ({"email", "email_verified"} <= claims.keys() and not role_missing):
            return {}
        headers = {"authorization": f"Bearer {token['access_token']}", "accept": "application/json"}
        with conversation(), httpx2.Client(verify=self._tls, timeout=ANSWER_SECONDS) as client:
            told = client.get(url, headers=headers).raise_for_status().json()
        if not isinstance(told, dict) or told.get("sub") != claims["sub"]:
            raise IdTokenInvalid("Its UserInfo endpoint tells of someone else (`sub`).")
        if told.get("email") != claims.get("email", told.get("email")):
            told.pop("email_verified", None)  # it is about another address
        return {name: value for name, value in told.items() if name not in claims}

    def _read(self, claims: dict[str, Any]) -> SignedIn:
        """Return who the claims describe."""
        subject, email, name, ends = (claims.get(one) for one in ("sub", "email", "name", "session_expiry"))
        if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
            raise ClaimMissing(f"The claim `sub` is no text of 1 to {LONGEST_SUBJECT} characters.", claim="sub")
        if not isinstance(email, str) or "@" not in email or len(email) > LONGEST_EMAIL:
            email = None
        told = claims.get("email_verified")
        verified = told in (True, "true") if told is not None else self.settings.trust_email
        identity = Identity(
            issuer=claims["iss"],
            subject=subject,
            email=email and fold(email),
            verified=email is not None and verified,
            name=name[:SHOWN_NAME] if isinstance(name, str) and name else None,
            role=self._role(claims),
        )
        return SignedIn(identity, ends if isinstance(ends, int | float) and not isinstance(ends, bool) else None)

    def _role(self, claims: dict[str, Any]) -> Role | None:
        """Return the highest role that the claim gives."""
        if not self.settings.role_claim:
            return None
        found = find_claim(claims, self.settings.role_claim)
        meaning: Mapping[str, Role] = self.settings.roles or {role: role for role in ROLES}
        values = found if isinstance(found, list) else [found]
        return highest(meaning[value] for value in values if isinstance(value, str) and value in meaning)


@contextmanager
def conversation() -> Iterator[None]:
    """Turn what goes wrong with a request to the provider into our errors."""
    try:
        yield
    except httpx2.HTTPStatusError as error:
        status = error.response.status_code
        kind = ProviderUnreachable if status >= httpx2.codes.INTERNAL_SERVER_ERROR else ProviderInvalid
        raise kind(f"{error.request.url.host} answered {status}.") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ProviderUnreachable(f"{type(error).__name__}: {error}"[:300]) from error
    except OAuthError as error:
        raise refusal(error.error, error.description) from error
    except ValueError as error:
        raise ProviderInvalid("Its answer is not JSON.") from error


def refusal(code: str | None, description: str | None) -> SignInError:
    """Return our error for one that the provider names."""
    said = f"The provider says {str(code)[:100]!r}" + (f": {str(description)[:200]}" if description else ".")
    if code in NO_CONSENT:
        return ConsentRefused(said)
    if code in WRONG_CLIENT:
        return ClientRefused(said)
    if code == "invalid_grant":
        return SignInInterrupted(said)
    return SignInError(said)


def claim_refusal(error: ClaimError, claims: Mapping[str, Any]) -> SignInError:
    """Return our error for a claim that does not hold."""
    if isinstance(error, ExpiredTokenError) or (error.claim in TIMES and not isinstance(error, MissingClaimError)):
        value = claims.get(error.claim)
        off = f", {abs(value - time.time()):.0f} s off" if isinstance(value, int | float) else ""
        return ClockSkew(f"Its claim `{error.claim}` is {value!r}{off}.")
    return IdTokenInvalid(f"Its claim `{error.claim}` is missing or not the one expected.")


def find_claim(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim by its name, or by its path with dots; None if it is missing."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for step in name.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found

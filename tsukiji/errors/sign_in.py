"""Errors of signing in by OpenID Connect."""

from tsukiji.errors.base import TsukijiError
from tsukiji.errors.requests import Conflict, Forbidden


class ProviderNotSet(Conflict):
    code = "provider_not_set"
    title = "No OpenID provider is set"
    hint = "Set TSUKIJI_OIDC_ISSUER and TSUKIJI_OIDC_CLIENT_ID; without them, people sign in with keys and links."


class SignInError(TsukijiError):
    """Signing in by the provider failed."""

    code = "sign_in_failed"
    title = "The provider did not sign you in"
    hint = "An administrator finds the reason in the provider's logs; try again."


class SignInInterrupted(SignInError):
    code = "sign_in_interrupted"
    title = "This sign-in was not started here, or took too long"
    hint = "Start again, in one tab, and allow cookies for this page."


class ConsentRefused(SignInError):
    code = "consent_refused"
    title = "The provider was not allowed to say who you are"
    hint = "Start again and agree, or ask those who run the provider for access to this application."


class ProviderUnreachable(SignInError):
    code = "provider_unreachable"
    title = "The OpenID provider does not answer"
    hint = "An administrator checks TSUKIJI_OIDC_ISSUER, DNS and firewall; try again, or sign in with a key."
    retriable = True


class ProviderInvalid(SignInError):
    code = "provider_invalid"
    title = "The OpenID provider's answer is not valid"
    hint = "An administrator compares TSUKIJI_OIDC_ISSUER with `issuer` in the provider's discovery document."


class ClientRefused(SignInError):
    code = "client_refused"
    title = "The OpenID provider does not accept this service"
    hint = (
        "An administrator compares TSUKIJI_OIDC_CLIENT_ID, TSUKIJI_OIDC_CLIENT_SECRET and the redirect address with "
        "what the provider has registered."
    )


class IdTokenInvalid(SignInError):
    code = "id_token_invalid"
    title = "The provider's token is not for this sign-in"
    hint = "Try again. If this repeats itself, settings are wrong, or someone interferes."


class ClockSkew(SignInError):
    code = "clock_skew"
    title = "The provider's token is not valid at this time"
    hint = (
        "An administrator synchronises the clocks of service and provider (NTP), or raises TSUKIJI_OIDC_LEEWAY_SECONDS."
    )


class ClaimMissing(SignInError):
    code = "claim_missing"
    title = "The provider does not say enough about you"
    hint = "An administrator lets the provider send this claim, or names another in TSUKIJI_OIDC_SCOPES or _ROLE_CLAIM."


class EmailUnverified(SignInError, Forbidden):
    code = "email_unverified"
    title = "The provider has not verified your e-mail address"
    hint = "Verify it at the provider, and sign in again. TSUKIJI_OIDC_TRUST_EMAIL is for providers that never say so."


class NotInvited(SignInError, Forbidden):
    code = "not_invited"
    title = "You are not invited"
    hint = "Ask an administrator to invite the e-mail address that you sign in with, or sign in with another account."

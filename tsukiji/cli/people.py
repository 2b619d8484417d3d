"""`tsukiji people`: who signs in by the OpenID provider, and who is invited."""

from typing import Annotated

import typer

from tsukiji.cli.options import Limit
from tsukiji.cli.output import FITS, AsJson, note, print_records
from tsukiji.client import Client
from tsukiji.scopes import Role

app = typer.Typer(no_args_is_help=True, help="People who sign in by an OpenID provider, and invitations.")

PersonId = Annotated[str, typer.Argument(metavar="PERSON", help="Id of a person, psn_...")]
WhichRole = Annotated[Role, typer.Argument(metavar="ROLE", help="viewer, labeller, editor or admin.")]

Project = Annotated[
    str | None, typer.Option("--project", help="Id or name; for administrators of the default project; default: own.")
]

PERSON_COLUMNS = {
    "id": lambda one: one.id,
    "email": lambda one: one.email,
    "name": lambda one: one.name,
    "role": lambda one: one.role,
    "by": lambda one: "provider" if one.claimed_role else "invitation",
    "signed in": lambda one: one.signed_in_at,
}
INVITATION_COLUMNS = {
    "id": lambda one: one.id,
    "email": lambda one: one.email,
    "role": lambda one: one.role,
    "expires": lambda one: one.expires_at,
}


@app.command("ls")
def list_people(project: Project = None, limit: Limit = None, as_json: AsJson = False) -> None:
    """List who signs in by the provider, newest first."""
    with Client() as client:
        print_records(client.people.list(project=project), PERSON_COLUMNS, as_json, limit, FITS)


@app.command("invite")
def invite(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Address that the provider has verified.")],
    role: Annotated[Role, typer.Option("--role", help="What they may do.")] = "viewer",
    expires: Annotated[float, typer.Option("--expires", metavar="DAYS", help="Days until it is void.")] = 7,
    project: Project = None,
    as_json: AsJson = False,
) -> None:
    """Invite an e-mail address; nothing is sent."""
    with Client() as client:
        made = client.people.invite(email, role=role, expires_in_days=expires, project=project)
        print_records([made], INVITATION_COLUMNS, as_json)


@app.command("invitations")
def list_invitations(project: Project = None, limit: Limit = None, as_json: AsJson = False) -> None:
    """List the invitations that were not accepted, newest first."""
    with Client() as client:
        print_records(client.people.invitations(project=project), INVITATION_COLUMNS, as_json, limit, FITS)


@app.command("withdraw")
def withdraw(
    invitation: Annotated[str, typer.Argument(metavar="INVITATION", help="Id of an invitation, inv_...")],
    project: Project = None,
) -> None:
    """Withdraw an invitation."""
    with Client() as client:
        client.people.withdraw(invitation, project=project)
    note(f"withdrew {invitation}")


@app.command("role")
def set_role(person: PersonId, role: WhichRole, project: Project = None, as_json: AsJson = False) -> None:
    """Change a role, also in sessions that are open."""
    with Client() as client:
        print_records([client.people.set_role(person, role, project=project)], PERSON_COLUMNS, as_json)


@app.command("rm")
def remove(
    person: PersonId,
    created: Annotated[bool, typer.Option("--created", help="Also the keys and invitations that they made.")] = False,
    project: Project = None,
) -> None:
    """Remove a person and end their sessions; only an invitation lets them in again."""
    with Client() as client:
        client.people.remove(person, created=created, project=project)
    note(f"removed {person}")
